// The page of digits: what the network answers after each row of a picture, and what its cells hold.
"use strict";

const DIGITS = 10, ROWS = 8;
const data = JSON.parse($("data").textContent);
const pixels = unpack(data.pixels), p = unpack(data.p), actual = unpack(data.labels), decided = unpack(data.decided);
const trace = new Trace(data, ROWS), count = actual.length;
const state = { picture: 0, row: 0, cell: 0, quantity: trace.quantities[0] };
const rowNames = Array.from({ length: trace.T }, (_, t) => `${(t % ROWS) + 1}`);
const order = Array.from(actual.keys()).sort((a, b) => right(a) - right(b) || a - b);
const map = new Heatmap($("map"), (t, cell) => choose({ row: t % ROWS, cell }));
let byVariance = cellsByVariance();

function cellsByVariance() {
  const cells = trace.statistics(0, state.quantity);
  return [...Array(trace.H).keys()].sort((a, b) => cells[b].deviation - cells[a].deviation || a - b);
}

function probability(picture, row, digit) {
  return p[(picture * ROWS + row) * DIGITS + digit];
}

function answer(picture) {
  const values = Array.from({ length: DIGITS }, (_, digit) => probability(picture, ROWS - 1, digit));
  return values.indexOf(Math.max(...values));
}

function right(picture) {
  return answer(picture) === actual[picture];
}

const caption = (picture) => text("caption").replace("{label}", actual[picture]).replace("{answer}", answer(picture));

// Draws rows [from, to) of a picture, one pixel of the canvas for each of its pixels.
function draw(canvas, picture, from = 0, to = ROWS) {
  [canvas.width, canvas.height] = [ROWS, to - from];
  const image = new ImageData(ROWS, to - from), first = (picture * ROWS + from) * ROWS;
  for (let n = 0; n < ROWS * (to - from); n++) image.data.set([...shade(pixels[first + n]), 255], 4 * n);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Chooses a picture, a row, a cell or a quantity, and shows it.
function choose(values) {
  Object.assign(state, values);
  state.cell = Math.min(Math.max(0, Math.floor(state.cell) || 0), trace.H - 1);
  const { picture, row, cell, quantity } = state, t = picture * ROWS + row, [low, high] = trace.range(0, quantity, cell);
  for (const button of $("pictures").children) button.ariaPressed = +button.value === picture;
  $("caption").textContent = caption(picture);
  $("cell").value = cell;
  $("rows").tBodies[0].replaceChildren(...Array.from({ length: ROWS }, (_, n) => rowOf(picture, n)));
  $("place").textContent = text("equations").replace("{row}", row + 1);
  $("equations").replaceChildren(...equationRows(trace.equations(0, t, cell, row === 0), quantity));
  drawScale($("scale"), low, high);
  if ("quantity" in values) byVariance = cellsByVariance();
  const bounds = { first: picture * ROWS, last: (picture + 1) * ROWS };
  map.draw({ trace, layer: 0, quantity, order: byVariance, place: t, cell, texts: rowNames, ...bounds });
}

function rowOf(picture, row) {
  const line = element("canvas"), name = `${decided[picture] === row ? "▸" : ""}${row + 1}`;
  const digits = Array.from({ length: DIGITS }, (_, digit) => digitCell(digit, probability(picture, row, digit)));
  const made = element("tr", { className: row === state.row ? "here" : "" },
    element("td", {}, name), element("td", {}, line), ...digits);
  draw(line, picture, row, row + 1);
  made.addEventListener("click", () => choose({ row }));
  return made;
}

function digitCell(digit, value) {
  const shown = element("small", {}, value.toFixed(2).replace(/^0/, ""));
  const cell = element("td", { title: number(value) }, `${digit}`, shown);
  Object.assign(cell.style, inked(value));
  return cell;
}

function thumbnail(picture) {
  const canvas = element("canvas"), className = right(picture) ? "" : "wrong";
  const button = element("button", { type: "button", value: picture, className, title: caption(picture) }, canvas);
  button.ariaLabel = caption(picture);
  button.addEventListener("click", () => choose({ picture, row: decided[picture] }));
  draw(canvas, picture);
  return button;
}

function decidedRow(row) {
  const pictures = order.filter((picture) => decided[picture] === row);
  const share = pictures.filter(right).length / pictures.length;
  return tableRow(row + 1, pictures.length, pictures.length ? `${(100 * share).toFixed(1)} %` : "");
}

function show() {
  $("count").textContent = text("pictures").replace("{count}", count);
  $("map").ariaLabel = text("map");
  $("pictures").replaceChildren(...order.map(thumbnail));
  $("decided").replaceChildren(...Array.from({ length: ROWS }, (_, row) => decidedRow(row)));
  choose({});
}

$("quantities").append(...quantityChoice(trace, "digits", (quantity) => choose({ quantity })));
$("cell").max = trace.H - 1;
$("cell").addEventListener("input", () => $("cell").value !== "" && choose({ cell: +$("cell").value }));
$("rows").tabIndex = 0;
$("rows").addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step) return;
  choose({ row: Math.min(Math.max(0, state.row + step), ROWS - 1) });
  event.preventDefault();
});
document.addEventListener("labelled", show);
DARK.addEventListener("change", show);
addEventListener("resize", () => choose({}));
Object.assign(state, { picture: order[0], row: decided[order[0]], cell: byVariance[0] });
startLabels();
