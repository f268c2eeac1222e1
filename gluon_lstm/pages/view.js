// The view of one model: its text, one cell of it, the place that is pointed at, and the heat map.
"use strict";

const NEAR_CELLS = 24; // rows of the heat map near a token
const FIRST_TOKENS = 60; // the page begins at one of them
const MAX_LINE = 6, BITS_PER_PIXEL = 2; // thickness of the line below a token
const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };

class View {
  constructor(model, features, number) {
    this.model = model;
    this.features = features; // names, in the order of the rows of the correlations
    this.trace = new Trace(model);
    for (const name of ["ids", "next", "p", "bits"]) this[name] = unpack(model[name]);
    this.kinds = Array.from(this.ids, (id) => model.table[id][1]);
    this.texts = model.texts.map((token, t) => visible(token, this.kinds[t]));
    this.ends = []; // place in the text after each token, in code points
    for (const token of model.texts) this.ends.push((this.ends[this.ends.length - 1] ?? 0) + Array.from(token).length);
    this.r = model.correlations.map((layer) =>
      Object.fromEntries(Object.entries(layer).map(([quantity, r]) => [quantity, unpack(r)])));
    this.layer = this.trace.layers.length - 1;
    this.quantity = this.trace.quantities[0];
    this.stretch = null; // [from, to): the selected tokens
    this.cell = this.tellingCell();
    this.t = this.firstPlace();
    this.build(number);
  }

  // Returns the correlations (H,) of the cells with feature number f.
  featureRow(quantity, f) {
    return this.r[this.layer][quantity].subarray(f * this.trace.H, (f + 1) * this.trace.H);
  }

  // Returns the cell with the largest correlation with a feature.
  tellingCell() {
    const r = this.r[this.layer][this.quantity].map(Math.abs);
    return r.indexOf(r.reduce((a, b) => Math.max(a, b))) % this.trace.H;
  }

  // Returns the token near the beginning at which this cell is furthest from its mean.
  firstPlace() {
    const { mean } = this.trace.statistics(this.layer, this.quantity)[this.cell];
    const series = this.trace.series(this.layer, this.quantity, this.cell).slice(0, FIRST_TOKENS);
    const distances = series.map((value) => Math.abs(value - mean));
    return distances.indexOf(Math.max(...distances));
  }

  // Makes the elements of the view, without texts of a language.
  build(number) {
    const root = $("view").content.cloneNode(true), { trace, model } = this;
    const parts = Array.from(root.querySelectorAll("[data-part]"), (each) => [each.dataset.part, each]);
    const part = (this.part = Object.fromEntries(parts));
    part.name.textContent = model.name;
    part.quantities.append(...quantityChoice(trace, number, (quantity) => this.choose({ quantity })));
    trace.layers.forEach((_, layer) => part.layer.append(element("option", { value: layer }, layer + 1)));
    part["layer-field"].hidden = trace.layers.length === 1;
    part.layer.addEventListener("change", () => this.choose({ layer: +part.layer.value }));
    part.cell.max = trace.H - 1;
    part.cell.addEventListener("input", () => part.cell.value !== "" && this.choose({ cell: +part.cell.value }));
    this.spans = this.texts.map((token, t) => this.tokenElement(token, t));
    this.places = new Map(this.spans.map((span, t) => [span, t]));
    const point = ({ target }) => this.places.has(target) && setPlace(this, this.places.get(target));
    for (const event of ["pointerover", "click"]) part.text.addEventListener(event, point);
    for (const each of [part.text, part.map]) each.addEventListener("keydown", (event) => this.key(event));
    this.map = new Heatmap(part.map, (t, cell) => {
      this.choose({ cell });
      setPlace(this, t);
    });
    part.order.addEventListener("change", () => this.sort());
    part.whole.addEventListener("change", () => this.drawMap());
    part.shift.addEventListener("input", () => showStretch(this));
    $("views").append(root);
    new ResizeObserver(() => this.order && this.drawMap()).observe(part.map.parentElement);
  }

  tokenElement(token, t) {
    const span = element("span", {}, token), endsLine = t && (this.kinds[t] === "end" || this.model.texts[t] === "\n");
    span.style.borderBottomWidth = `${Math.min(MAX_LINE, this.bits[t] / BITS_PER_PIXEL)}px`;
    this.part.text.append(span, ...(endsLine ? [element("br")] : []));
    return span;
  }

  // Writes everything in the language of the page.
  show() {
    const { part, model, trace, features } = this;
    part.size.textContent = text("size")
      .replace("{variant}", model.variant).replace("{layers}", trace.layers.length)
      .replace("{hidden}", trace.H).replace("{vocabulary}", model.vocabulary.toLocaleString());
    part.text.ariaLabel = text("text");
    part.map.ariaLabel = text("map");
    const chosen = part.order.value || "cell", orders = ["cell", "stretch", "variance", "number"];
    part.order.replaceChildren(
      ...orders.map((value) => element("option", { value }, text(`order_${value}`))),
      ...features.map((value) => element("option", { value }, text(`feature_${value}`))));
    part.order.value = chosen;
    showFeatures(this);
    showLoss(this);
    showStretch(this);
    this.choose({});
  }

  // Chooses layer, quantity or cell, and shows it.
  choose(values) {
    Object.assign(this, values);
    const { part, trace, layer, quantity } = this;
    const cell = (this.cell = Math.min(Math.max(0, Math.floor(this.cell) || 0), trace.H - 1));
    part.cell.value = cell;
    part.layer.value = layer;
    part.quantities.querySelector(`[value=${quantity}]`).checked = true;
    const series = trace.series(layer, quantity, cell), [low, high] = trace.range(layer, quantity, cell);
    this.spans.forEach((span, t) => Object.assign(span.style, inked((series[t] - low) / (high - low))));
    drawScale(part.scale, low, high);
    part.meaning.textContent = `${text(`name_${quantity}`)}: ${meaning(this)}`;
    if ("layer" in values) showFeatures(this);
    if (this.stretch) showStretch(this);
    this.showPlace();
    this.sort();
  }

  key(event) {
    const step = ARROWS[event.key];
    if (event.key === "Escape") setStretch(this, null);
    else if (!step) return;
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.choose({ cell: this.cell + step });
    else {
      const t = Math.min(Math.max(0, this.t + step), this.trace.T - 1);
      if (event.shiftKey) {
        if (!this.stretch) this.anchor = this.t;
        setStretch(this, [Math.min(this.anchor, t), Math.max(this.anchor, t) + 1]);
      }
      setPlace(this, t);
    }
    event.preventDefault();
  }

  // Shows the token at the place: equations with their numbers, and what comes next.
  showPlace() {
    const { part, trace, t, bits, next, p, ids } = this, K = next.length / trace.T;
    this.here?.classList.remove("here");
    this.here = this.spans[t];
    this.here.classList.add("here");
    keepInSight(this.here, part.text);
    const surprise = t ? text("surprise").replace("{bits}", bits[t].toFixed(2)) : "";
    part.place.replaceChildren(text("after"), element("bdi", {}, this.texts[t]), ` ${surprise}`);
    part.equations.replaceChildren(...equationRows(trace.equations(this.layer, t, this.cell), this.quantity));
    const likeliest = Array.from({ length: K }, (_, k) => ({ id: next[t * K + k], value: p[t * K + k] }));
    const came = ids[t + 1], listed = likeliest.some(({ id }) => id === came);
    if (t + 1 < trace.T && !listed) likeliest.push({ id: came, value: 2 ** -bits[t + 1] });
    part.next.replaceChildren(...likeliest.map(({ id, value }) => this.candidate(id, value, id === came)));
  }

  candidate(id, value, came) {
    const [token, kind] = this.model.table[id], name = kind === "unknown" ? text("kind_unknown") : visible(token, kind);
    const bar = element("span", { className: "bar" });
    bar.style.width = `${100 * value}%`;
    const shown = value < 0.001 ? value.toExponential(0) : number(value);
    const mark = element("span", {}, came ? "▸" : ""), written = element("bdi", { title: name }, name);
    return element("li", { className: came ? "came" : "" }, mark, written, bar, element("data", { value }, shown));
  }

  // Sorts the rows of the heat map; a correlation puts the largest ones first, with their sign.
  sort() {
    const keys = this.sortKeys(this.part.order.value);
    this.order = [...Array(this.trace.H).keys()];
    if (keys) this.order.sort((a, b) => keys[b] - keys[a] || a - b);
    this.drawMap();
  }

  sortKeys(order) {
    const { trace, layer, quantity, stretch } = this;
    if (order === "variance") return trace.statistics(layer, quantity).map(({ deviation }) => deviation);
    if (order === "cell") return trace.correlations(layer, quantity, trace.series(layer, quantity, this.cell));
    if (order === "stretch" && stretch) {
      const selected = Float32Array.from({ length: trace.T }, (_, t) => +(t >= stretch[0] && t < stretch[1]));
      return trace.correlations(layer, quantity, selected);
    }
    return this.features.includes(order) ? this.featureRow(quantity, this.features.indexOf(order)) : null;
  }

  drawMap() {
    const { part, trace, layer, quantity, cell, t, texts } = this, whole = part.whole.checked;
    const order = whole ? this.order : this.order.slice(0, NEAR_CELLS);
    this.map.draw({ trace, layer, quantity, order, place: t, cell, texts, whole });
  }

  // Returns the place in the text before a token.
  start(t) {
    return t ? this.ends[t - 1] : 0;
  }

  // Returns the first token that covers the character at a place in the text.
  tokenAt(place) {
    const t = this.ends.findIndex((end) => end > place);
    return t < 0 ? this.trace.T - 1 : t;
  }
}

// Scrolls the box, not the page, until the element is in sight.
function keepInSight({ offsetTop, offsetHeight }, box) {
  const top = offsetTop - box.offsetTop;
  const inSight = top >= box.scrollTop && top + offsetHeight <= box.scrollTop + box.clientHeight;
  if (!inSight) box.scrollTop = top - box.clientHeight / 2;
}
