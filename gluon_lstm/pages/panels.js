// Panels of a view: what cells correlate with, what is on in a selected part of the text, what the loss is made of.
"use strict";

const SURPRISES = 10, CHIPS = 4, CONTEXT = 8, MEANINGS = 3; // items of a list; tokens around a place
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

// Returns a button with a label.
function chip(label, act) {
  const button = element("button", { type: "button", className: "chip" }, element("bdi", {}, label));
  button.addEventListener("click", act);
  return button;
}

// Returns a sentence: the features with which the chosen cell correlates most.
function meaning(view) {
  const r = (name) => view.featureRow(view.quantity, view.features.indexOf(name))[view.cell];
  const found = view.model.features.map((name) => ({ name, r: r(name) }));
  found.sort((a, b) => Math.abs(b.r) - Math.abs(a.r));
  const list = found.slice(0, MEANINGS).map(({ name, r }) => `${text(`feature_${name}`)} ${signed(r)}`);
  return text("meaning").replace("{list}", list.join(text("comma")));
}

// For each feature the cells that correlate most with it, each with the quantity that does so most.
function showFeatures(view) {
  const row = (name) => {
    const chips = view.model.features.includes(name)
      ? bestCells(view, name).map(({ cell, quantity, r }) =>
          chip(`${quantity} ${cell} ${signed(r)}`, () => view.choose({ cell, quantity })))
      : [element("span", { className: "soft" }, text("absent"))];
    return element("tr", {}, element("td", {}, text(`feature_${name}`)), element("td", {}, ...chips));
  };
  view.part.features.replaceChildren(...view.features.map(row));
}

function bestCells(view, name) {
  const f = view.features.indexOf(name), larger = (a, b) => (Math.abs(b.r) > Math.abs(a.r) ? b : a);
  const rows = view.trace.quantities.map((quantity) => ({ quantity, r: view.featureRow(quantity, f) }));
  const best = Array.from({ length: view.trace.H }, (_, cell) =>
    rows.map(({ quantity, r }) => ({ cell, quantity, r: r[cell] })).reduce(larger));
  return best.sort((a, b) => Math.abs(b.r) - Math.abs(a.r)).slice(0, CHIPS);
}

// The cells that are on in the selected tokens alone, and the other places where they are on.
function showStretch(view) {
  const { part, stretch, trace, layer, quantity, cell } = view, shift = +part.shift.value;
  for (const span of view.spans) span.classList.remove("stretch", "alike");
  part.stretch.hidden = !stretch;
  part["stretch-note"].textContent = text("stretch_none");
  if (!stretch) return;
  const { threshold, deviation } = trace.statistics(layer, quantity)[cell];
  part["shift-value"].textContent =
    `${shift ? `${signed(shift)} σ` : text("suggested")}; ` +
    `${quantity} ${cell}: ${number(threshold + shift * deviation)}`;
  const { cells, places } = trace.like(layer, quantity, ...stretch, shift);
  part["stretch-note"].textContent = text(cells.length ? "stretch_cells" : "stretch_no_cells")
    .replace("{quantity}", quantity).replace("{text}", () => tokens(view, ...stretch));
  part["stretch-cells"].replaceChildren(...cells.map(({ cell, on, score }) =>
    chip(`${cell} ${text(on ? "on" : "off")} ${score.toFixed(2)}`, () => view.choose({ cell }))));
  mark(view, stretch, "stretch");
  for (const { from, to } of places) mark(view, [from, to], "alike");
  part.places.replaceChildren(...places.map((place) => element("li", {}, placeChip(view, place))));
  if (!places.length) part.places.append(element("li", { className: "soft" }, text("nowhere")));
}

const tokens = (view, from, to) => view.texts.slice(Math.max(0, from), to).join("");

function mark(view, [from, to], name) {
  for (const span of view.spans.slice(from, to)) span.classList.add(name);
}

function placeChip(view, { from, to }) {
  const button = chip("", () => setPlace(view, from)), here = element("b", {}, `【${tokens(view, from, to)}】`);
  button.firstChild.append(tokens(view, from - CONTEXT, from), here, tokens(view, to, to + CONTEXT));
  return button;
}

// The bits of each kind of token, and the tokens with the most bits.
function showLoss(view) {
  const { part, model, bits } = view, total = model.parts.reduce((sum, [, , each]) => sum + each, 0);
  part.bits.textContent = text("bits")
    .replace("{bpc}", (total / model.characters).toFixed(3)).replace("{count}", model.characters.toLocaleString());
  const parts = [...model.parts].sort((a, b) => b[2] - a[2]);
  part.loss.replaceChildren(...parts.map(([kind, count, sum]) => {
    const share = `${((100 * sum) / total).toFixed(1)} %`;
    return tableRow(text(`kind_${kind}`), count.toLocaleString(), (sum / count).toFixed(2), share);
  }));
  part.surprises.replaceChildren(...largest(bits).map((t) => placeOf(view, t, bits[t].toFixed(1))));
  const other = views.find((each) => each !== view);
  part.worse.hidden = !other;
  if (other) part.differences.replaceChildren(...differences(view, other));
}

// The tokens of both models that have more bits in this one.
function differences(view, other) {
  const span = (each, t) => `${each.start(t)} ${each.ends[t]}`;
  const theirs = new Map(Array.from(other.bits, (bits, t) => [span(other, t), bits]));
  const more = view.bits.map((bits, t) => (view.model.texts[t] ? bits - (theirs.get(span(view, t)) ?? bits) : 0));
  return largest(more).filter((t) => more[t] > 0).map((t) => placeOf(view, t, signed(more[t])));
}

function largest(values) {
  return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, SURPRISES);
}

function placeOf(view, t, amount) {
  return chip(`${view.texts[t]} ${amount}`, () => setPlace(view, t));
}
