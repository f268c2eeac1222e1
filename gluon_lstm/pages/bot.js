// The page of a bot: reads the model that the page contains, writes as one watches.
"use strict";

const SLICE = 12; // milliseconds of writing between two frames: the page stays responsive
const MAX_SEED = 2 ** 32;
let writer = null, running = 0;

function settings() {
  const amount = Math.max(1, Math.floor(+$("amount").value) || 1), posts = $("unit").value === "posts";
  return {
    temperature: +$("temperature").value,
    topP: +$("top-p").value,
    repetitionPenalty: +$("penalty").value,
    posts: posts ? amount : 1,
    length: posts ? null : amount,
    seed: Math.min(Math.max(0, Math.floor(+$("seed").value) || 0), MAX_SEED - 1),
  };
}

function stop() {
  running = 0;
  $("text").removeAttribute("data-writing");
  $("write").textContent = text("write");
}

function write() {
  writer ??= new Writer(readModel(decode($("model").textContent)));
  const prefix = $("prefix").value, unknown = writer.unknown(prefix);
  $("notice").textContent = unknown.length ? text("unknown") + unknown.join(" ") : "";
  $("text").textContent = "";
  $("text").dataset.writing = "";
  $("write").textContent = text("stop");
  const run = (running = performance.now()), pieces = writer.write(prefix, settings());
  let count = 0;
  function slice() {
    if (running !== run) return;
    const end = performance.now() + SLICE;
    let added = "", done = false;
    while (!done && performance.now() < end) {
      const piece = pieces.next();
      done = piece.done;
      added += piece.value ?? "";
    }
    count += characters(added);
    $("text").append(added);
    if (!done) return void setTimeout(slice);
    stop();
    const rate = Math.round((1000 * count) / (performance.now() - run));
    $("speed").textContent = text("speed").replace("{count}", count.toLocaleString()).replace("{rate}", rate.toLocaleString());
  }
  slice();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  running ? stop() : write();
});
$("again").addEventListener("click", () => {
  $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
  write();
});
$("copy").addEventListener("click", async () => {
  const range = document.createRange();
  range.selectNodeContents($("text"));
  getSelection().removeAllRanges();
  getSelection().addRange(range); // stays selected where the browser does not let a page copy
  try {
    await navigator.clipboard.writeText($("text").textContent);
    $("notice").textContent = text("copied");
  } catch {
    $("notice").textContent = document.execCommand("copy") ? text("copied") : text("selected");
  }
});
document.addEventListener("keydown", (event) => event.key === "Escape" && stop());
document.addEventListener("labelled", () => running && ($("write").textContent = text("stop")));
for (const input of document.querySelectorAll("input[type=range]")) {
  const show = () => (input.nextElementSibling.textContent = input.value);
  input.addEventListener("input", show);
  show();
}
startLabels();
