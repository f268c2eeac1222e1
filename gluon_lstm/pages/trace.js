// What the cells of a model did at each token: the gates that the page holds, and c and h, which follow from them.
// No page is touched here. A quantity is g, i, f, o, c or h; its values are an array (T, H), row after row.
"use strict";

const BINS = 64; // of the histogram of a cell
const MIN_SCORE = 0.5, MAX_CELLS = 8, MIN_SHARE = 0.75, MAX_PLACES = 12; // of `Trace.like`
const number = (value) => (Math.round(1000 * value) / 1000 + 0).toFixed(3); // no -0.000

class Trace {
  // `steps`: tokens after which the state is zero again, for several sequences after one another.
  constructor({ variant, hidden, layers }, steps = Infinity) {
    this.cell = VARIANTS[variant];
    this.H = hidden;
    this.layers = layers.map((layer) => {
      const values = Object.fromEntries(Object.entries(layer).map(([name, array]) => [name, unpack(array)]));
      if (values.h) return values;
      values.f = values.f.map((code) => (code < 0 ? code + 1 : code)); // as trace.f_code of Python stores it
      return { ...values, ...this.states(values, steps) };
    });
    this.T = this.layers[0].h.length / hidden;
    this.quantities = this.layers[0].c ? [..."chgifo"] : ["h"];
    this.cache = new Map();
  }

  // Returns c and h of one layer.
  states({ g, i, f, o }, steps) {
    const { H } = this, c = new Float32Array(g.length), h = new Float32Array(g.length);
    for (let k = 0; k < g.length; k++) {
      const start = Math.floor(k / H) % steps === 0;
      c[k] = f[k] * (start ? 0 : c[k - H]) + i[k] * g[k];
      h[k] = o[k] * (this.cell.outputTanh ? Math.tanh(c[k]) : c[k]);
    }
    return { c, h };
  }

  at(layer, quantity, t, cell) {
    return this.layers[layer][quantity][t * this.H + cell];
  }

  // Returns the values of one cell (T,).
  series(layer, quantity, cell) {
    const values = this.layers[layer][quantity], series = new Float32Array(this.T);
    for (let t = 0; t < this.T; t++) series[t] = values[t * this.H + cell];
    return series;
  }

  // Returns for each cell {mean, deviation, low, high, threshold}; the threshold is the one that its values suggest.
  statistics(layer, quantity) {
    const key = `${layer} ${quantity}`;
    if (!this.cache.has(key))
      this.cache.set(key, Array.from({ length: this.H }, (_, cell) => statistics(this.series(layer, quantity, cell))));
    return this.cache.get(key);
  }

  // Returns the lowest and the highest value of the scale of a cell: 0 to 1 for i, f, o, else symmetric about 0.
  range(layer, quantity, cell) {
    if ("ifo".includes(quantity)) return [0, 1];
    const { low, high } = this.statistics(layer, quantity)[cell], limit = Math.max(-low, high) || 1;
    return [-limit, limit];
  }

  // Returns Pearson's r of each cell with a series (T,); 0 where one of them is constant.
  correlations(layer, quantity, series) {
    const { H, T } = this, values = this.layers[layer][quantity], cells = this.statistics(layer, quantity);
    const { mean, deviation } = statistics(series), sums = new Float64Array(H);
    for (let t = 0; t < T; t++)
      for (let cell = 0; cell < H; cell++) sums[cell] += (series[t] - mean) * (values[t * H + cell] - cells[cell].mean);
    return sums.map((sum, cell) => {
      const product = deviation * cells[cell].deviation;
      return product > 1e-9 ? sum / T / product : 0;
    });
  }

  // Returns the cells that are on (or off) in the tokens from `from` to before `to` and not elsewhere, and the other
  // places where most of them are so too. A cell is on above its threshold plus `shift` standard deviations.
  like(layer, quantity, from, to, shift) {
    const { H, T } = this, values = this.layers[layer][quantity];
    const limits = this.statistics(layer, quantity).map(({ threshold, deviation }) => threshold + shift * deviation);
    const isOn = (t, cell) => values[t * H + cell] > limits[cell];
    const inside = new Float64Array(H), outside = new Float64Array(H);
    for (let t = 0; t < T; t++) {
      const counts = t >= from && t < to ? inside : outside;
      for (let cell = 0; cell < H; cell++) counts[cell] += isOn(t, cell);
    }
    const score = (cell) => inside[cell] / (to - from) - outside[cell] / Math.max(T - (to - from), 1);
    const cells = [...Array(H).keys()]
      .map((cell) => ({ cell, on: score(cell) > 0, score: Math.abs(score(cell)) }))
      .filter((each) => each.score >= MIN_SCORE)
      .sort((a, b) => b.score - a.score || a.cell - b.cell)
      .slice(0, MAX_CELLS);
    const share = (t) => cells.filter(({ cell, on }) => isOn(t, cell) === on).length / cells.length;
    const places = [];
    for (let t = 0; cells.length && t < T; t++) {
      if ((t >= from && t < to) || share(t) < MIN_SHARE) continue;
      const last = places[places.length - 1];
      if (last && last.to === t) last.to++;
      else places.push({ from: t, to: t + 1 });
    }
    places.sort((a, b) => b.to - b.from - (a.to - a.from) || a.from - b.from);
    return { cells, places: places.slice(0, MAX_PLACES) };
  }

  // Returns the equations of lstm/scratch.py with their numbers at a token: {name, formula, numbers, value}.
  equations(layer, t, cell, start = t === 0) {
    const value = (name) => number(this.at(layer, name, t, cell));
    const gate = (name, activation) => {
      const peephole = this.cell.peepholes && name !== "g" ? ` + c Wc${name}` : "";
      const formula = `${activation}(X${name} + h Wh${name}${peephole} + b${name})`;
      return { name, formula, numbers: "", value: value(name) };
    };
    if (!this.layers[layer].c) return [gate("h", "tanh")];
    const [g, i, f, o] = [..."gifo"].map(value), before = number(start ? 0 : this.at(layer, "c", t - 1, cell));
    const [open, close] = this.cell.outputTanh ? ["tanh(", ")"] : ["", ""];
    return [
      gate("g", "tanh"), gate("i", "sigmoid"), gate("f", "sigmoid"), gate("o", "sigmoid"),
      { name: "c", formula: "f * c + i * g", numbers: `${f} * ${before} + ${i} * ${g}`, value: value("c") },
      { name: "h", formula: `o * ${open}c${close}`, numbers: `${o} * ${open}${value("c")}${close}`, value: value("h") },
    ];
  }
}

// Returns the values of an array as `trace.packed` of Python wrote it.
function unpack({ dtype, data }) {
  return DECODERS[dtype](decode(data).buffer);
}

function statistics(series) {
  let sum = 0, squares = 0, low = Infinity, high = -Infinity;
  for (const value of series) {
    sum += value;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const mean = sum / series.length;
  for (const value of series) squares += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / series.length), low, high, threshold: otsu(series, low, high) };
}

// Returns the threshold that separates the values into two groups with the largest variance between them (Otsu 1979).
function otsu(series, low, high) {
  if (!(high > low)) return high;
  const counts = new Float64Array(BINS), width = (high - low) / BINS;
  for (const value of series) counts[Math.min(BINS - 1, Math.floor((value - low) / width))]++;
  const sum = counts.reduce((total, count, bin) => total + count * bin, 0);
  let below = 0, sumBelow = 0, largest = -1, threshold = low;
  for (let bin = 0; bin < BINS - 1; bin++) {
    below += counts[bin];
    sumBelow += counts[bin] * bin;
    const above = series.length - below;
    const between = below * above * (sumBelow / below - (sum - sumBelow) / above) ** 2;
    if (between > largest) [largest, threshold] = [between, low + (bin + 1) * width];
  }
  return threshold;
}
