// The LSTM in JavaScript: the equations of lstm/reference.py, one step at a time, for every variant of the cell.
"use strict";

const VARIANTS = {
  "standard": { gates: "gifo", peepholes: "", outputTanh: true },
  "peephole": { gates: "gifo", peepholes: "diagonal", outputTanh: true },
  "peephole-full": { gates: "gifo", peepholes: "full", outputTanh: true },
  "no-output-tanh": { gates: "gifo", peepholes: "", outputTanh: false },
  "rnn": { gates: "h", peepholes: "", outputTanh: true },
};
const sigmoid = (a) => 1 / (1 + Math.exp(-a));

class Lstm {
  constructor({ config, shapes, arrays }) {
    [this.H, this.V] = shapes.Why;
    this.cell = VARIANTS[config.variant];
    this.layers = Array.from({ length: config.layers }, (_, n) => new Layer(arrays, this.cell, this.H, n + 1));
    this.Why = transposed(arrays.Why, this.H, this.V);
    this.by = arrays.by;
    this.z = new Float32Array(this.V);
  }

  // Returns the zero state: h and c of every layer.
  zeroState() {
    return this.layers.map(() => ({ h: new Float32Array(this.H), c: new Float32Array(this.H) }));
  }

  // Advances the state by one id.
  step(state, id) {
    this.layers.forEach((layer, n) => layer.step(state[n], n ? state[n - 1].h : id));
  }

  // Returns the logits of the next id, in an array that the next call overwrites.
  logits(state) {
    this.z.set(this.by);
    addProduct(this.Why, state[state.length - 1].h, this.z);
    return this.z;
  }
}

// One layer. Matrices are transposed, so that a row holds the weights of one output.
class Layer {
  constructor(arrays, cell, H, number) {
    const array = (name) => arrays[number === 1 ? name : `${name}_${number}`];
    this.cell = cell;
    this.H = H;
    this.first = number === 1;
    this.gates = Array.from(cell.gates, (k) => ({
      a: new Float32Array(H), // pre-activations
      b: array(`b${k}`),
      Wx: this.first ? array(`Wx${k}`) : transposed(array(`Wx${k}`), H, H),
      Wh: transposed(array(`Wh${k}`), H, H),
      Wc: cell.peepholes && k !== "g" ? array(`Wc${k}`) : null,
    }));
    if (cell.peepholes === "full") for (const gate of this.gates) if (gate.Wc) gate.Wc = transposed(gate.Wc, H, H);
  }

  // Advances h and c by one input: an id in the first layer, h of the layer below in the others.
  step(state, input) {
    const { H, cell } = this, { h, c } = state;
    for (const gate of this.gates) {
      const { a, b, Wx, Wh } = gate;
      for (let j = 0; j < H; j++) a[j] = this.first ? b[j] + Wx[input * H + j] : b[j];
      if (!this.first) addProduct(Wx, input, a);
      addProduct(Wh, h, a);
    }
    if (cell.gates === "h") {
      for (let j = 0; j < H; j++) h[j] = Math.tanh(this.gates[0].a[j]);
      return;
    }
    const [g, i, f, o] = this.gates;
    this.addPeephole(i, c);
    this.addPeephole(f, c);
    for (let j = 0; j < H; j++) c[j] = sigmoid(f.a[j]) * c[j] + sigmoid(i.a[j]) * Math.tanh(g.a[j]);
    this.addPeephole(o, c);
    for (let j = 0; j < H; j++) h[j] = sigmoid(o.a[j]) * (cell.outputTanh ? Math.tanh(c[j]) : c[j]);
  }

  addPeephole({ a, Wc }, c) {
    if (this.cell.peepholes === "full") addProduct(Wc, c, a);
    else if (this.cell.peepholes) for (let j = 0; j < this.H; j++) a[j] += Wc[j] * c[j];
  }
}

// Adds W x to y: W (n, m) by rows, x (m,), y (n,). Four rows at a time, whose sums do not wait for each other.
function addProduct(W, x, y) {
  const n = y.length, m = x.length;
  let row = 0;
  for (; row + 4 <= n; row += 4) {
    const p = row * m, q = p + m, r = q + m, s = r + m;
    let a = 0, b = 0, c = 0, d = 0;
    for (let k = 0; k < m; k++) {
      const value = x[k];
      a += W[p + k] * value;
      b += W[q + k] * value;
      c += W[r + k] * value;
      d += W[s + k] * value;
    }
    y[row] += a;
    y[row + 1] += b;
    y[row + 2] += c;
    y[row + 3] += d;
  }
  for (; row < n; row++) {
    let a = 0;
    for (let k = 0; k < m; k++) a += W[row * m + k] * x[k];
    y[row] += a;
  }
}

// Returns a matrix (rows, columns) transposed.
function transposed(W, rows, columns) {
  const result = new Float32Array(W.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = W[row * columns + column];
  return result;
}
