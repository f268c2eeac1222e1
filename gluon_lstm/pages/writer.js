// Text from a model, token by token: the rules of sampling/sampler.py and sampling/writer.py, with the same random
// numbers, so that a seed gives the text that `gluon-lstm generate --seed` gives.
"use strict";

const UNKNOWN = 0, MAX_POST_LENGTH = 1000, REPETITION_WINDOW = 64, MAX_PARTIAL_WORDS = 8;
const DEFAULTS = { temperature: 0.8, topP: 1, repetitionPenalty: 1, posts: 1, length: null, seed: 0, number: 0 };
const INVISIBLE = /[\ufe0e\ufe0f\u200d]/; // selectors and joiners of emoji
const characters = (text) => Array.from(text).length; // code points

class Writer {
  constructor(model) {
    this.lstm = new Lstm(model);
    const { tokens, specials, tokenizer, raw } = model;
    this.tokens = tokens;
    this.ids = new Map(tokens.slice(specials).map((token, n) => [token, n + specials]));
    this.end = raw ? null : 1; // the end of a post
    this.boundary = !raw && tokenizer === "janome-chars" ? 2 : null; // between two words
    this.words = !raw && tokenizer === "janome";
    this.texts = tokens.map((token, id) => (id >= specials ? token : id === this.end ? "\n" : ""));
    this.lengths = this.texts.map(characters);
  }

  // Yields a text piece by piece: `length` characters, or `posts` posts that each begin with the prefix.
  *write(prefix, options = {}) {
    const settings = { ...DEFAULTS, ...options };
    const random = new Random(settings.seed, settings.number);
    const starts = this.starts(prefix);
    const posts = settings.length === null ? settings.posts : 1;
    for (let post = 0; post < posts; post++) {
      yield prefix;
      const n = starts.length > 1 ? pick(starts.map((start) => start.weight), random.next()) : 0;
      yield* this.post(starts[n], settings, random);
      yield "\n";
    }
  }

  *post(start, settings, random) {
    const { lstm, end, boundary } = this;
    const state = start.state.map(({ h, c }) => ({ h: h.slice(), c: c.slice() }));
    const recent = [...start.ids];
    let banned = end === null ? [] : [end]; // no empty post
    if (start.excluded) banned = banned.concat(start.excluded);
    let left = start.partial.length + (settings.length ?? MAX_POST_LENGTH), skip = start.partial.length;
    for (;;) {
      const z = lstm.logits(state);
      penalize(z, recent.slice(-REPETITION_WINDOW), settings.repetitionPenalty);
      z[UNKNOWN] = -Infinity;
      for (const id of banned) z[id] = -Infinity;
      const id = pick(weights(z, settings), random.next());
      left -= this.lengths[id];
      if (settings.length === null && (id === end || left <= 0)) return;
      const text = Array.from(this.texts[id]).slice(skip);
      skip = 0;
      yield (left < 0 ? text.slice(0, text.length + left) : text).join("");
      if (left <= 0) return;
      banned = id === end ? [end] : id === boundary ? [end, boundary] : [];
      recent.push(id);
      lstm.step(state, id);
    }
  }

  // Returns the states from which a text may start, each with its weight: with words, the end of the prefix may be the
  // beginning of a longer word.
  starts(prefix) {
    const tokens = this.tokenize(prefix), longest = Math.max(...this.tokens.map(characters));
    const splits = [{ ids: tokens, partial: "" }];
    for (let n = 1; this.words && n <= Math.min(MAX_PARTIAL_WORDS, tokens.length); n++) {
      const partial = tokens.slice(-n).map((id) => this.texts[id]).join("");
      if (characters(partial) >= longest) break;
      splits.push({ ids: tokens.slice(0, -n), partial });
    }
    const starts = splits.map((split) => this.start(split));
    const best = Math.max(...starts.map((start) => start.logp));
    return starts.map((start) => ({ ...start, weight: Math.exp(start.logp - best) }));
  }

  start({ ids, partial }) {
    const state = this.lstm.zeroState();
    if (this.end !== null) this.lstm.step(state, this.end);
    let logp = 0;
    const read = [];
    for (const id of ids) {
      const logits = this.boundary === null ? this.lstm.logits(state) : this.withBoundary(state, read, id);
      logp += logits[id] - logSum(logits);
      this.lstm.step(state, id);
      read.push(id);
    }
    let excluded = null;
    if (partial) {
      const z = this.lstm.logits(state), completes = [];
      excluded = [];
      this.texts.forEach((text, id) => {
        (text.length > partial.length && text.startsWith(partial) ? completes : excluded).push(id);
      });
      logp += completes.length ? logSum(completes.map((id) => z[id])) - logSum(z) : -Infinity;
    }
    return { state, ids: read, logp, excluded, partial: Array.from(partial) };
  }

  // Reads a word boundary before `id` where the model finds it likelier than none; returns the logits before `id`.
  withBoundary(state, read, id) {
    const z = this.lstm.logits(state);
    const without = z[id] - logSum(z), boundary = z[this.boundary] - logSum(z);
    const other = state.map(({ h, c }) => ({ h: h.slice(), c: c.slice() }));
    this.lstm.step(other, this.boundary);
    const after = this.lstm.logits(other);
    if (!read.length || boundary + after[id] - logSum(after) <= without) return this.lstm.logits(state);
    other.forEach((layer, n) => Object.assign(state[n], layer));
    read.push(this.boundary);
    return after;
  }

  // Returns the ids of a text: the longest known tokens; an unknown character is read as another form of it.
  tokenize(text) {
    const parts = this.words || this.end === null ? Array.from(text) : graphemes(text), ids = [];
    const longest = this.words ? Math.max(...this.lengths) : 1;
    for (let at = 0; at < parts.length; ) {
      let size = Math.min(longest, parts.length - at), id;
      while (size > 1 && !this.ids.has(parts.slice(at, at + size).join(""))) size--;
      if ((id = this.known(parts.slice(at, at + size).join(""))) !== undefined) ids.push(id);
      else for (const point of Array.from(parts[at])) if ((id = this.known(point)) !== undefined) ids.push(id);
      at += size;
    }
    return ids;
  }

  known(token) {
    const code = token.codePointAt(0);
    const kana = code >= 0x3041 && code <= 0x3096 ? code + 0x60 : code >= 0x30a1 && code <= 0x30f6 ? code - 0x60 : null;
    const forms = [token, token.normalize("NFKC"), token.toLowerCase(), token.toUpperCase()];
    if (kana && token.length === 1) forms.push(String.fromCodePoint(kana));
    return this.ids.get(forms.find((form) => this.ids.has(form)));
  }

  // Returns the characters of a text that the model does not know, in no form.
  unknown(text) {
    return [...new Set(Array.from(text))].filter((point) => !this.tokenize(point).length && !INVISIBLE.test(point));
  }
}

function graphemes(text) {
  if (!Intl.Segmenter) return Array.from(text);
  return Array.from(new Intl.Segmenter("ja", { granularity: "grapheme" }).segment(text), ({ segment }) => segment);
}

// Divides positive logits of the recent ids by the penalty, and multiplies negative ones (Keskar et al. 2019).
function penalize(z, recent, penalty) {
  if (penalty !== 1) for (const id of new Set(recent)) z[id] = z[id] > 0 ? z[id] / penalty : z[id] * penalty;
}

// Returns the weights with which the ids are drawn: softmax at a temperature, cut to the likeliest ids (top-p).
function weights(z, { temperature, topP }) {
  const best = z.reduce((a, b) => Math.max(a, b));
  if (temperature === 0) return z.map((_, id) => (id === z.indexOf(best) ? 1 : 0));
  const p = Float64Array.from(z, (value) => Math.exp((value - best) / temperature));
  if (topP >= 1) return p;
  const total = p.reduce((a, b) => a + b);
  const rare = ((1 - topP) * total) / p.length; // ids below it have less than 1 - topP together: none of them is kept
  const order = [...p.keys()].filter((id) => p[id] >= rare).sort((a, b) => p[b] - p[a] || a - b);
  const kept = new Float64Array(p.length);
  let before = 0; // of the ids that are likelier
  for (const id of order) {
    if (before >= topP * total) break;
    kept[id] = p[id];
    before += p[id];
  }
  return kept;
}

// Returns the first index whose cumulative weight exceeds `uniform` times the total.
function pick(weights, uniform) {
  let total = 0;
  for (const weight of weights) total += weight;
  const target = uniform * total;
  let sum = 0, last = 0;
  for (let id = 0; id < weights.length; id++) {
    if (weights[id] > 0) last = id;
    if ((sum += weights[id]) > target) return id;
  }
  return last;
}

function logSum(z) {
  const best = z.reduce((a, b) => Math.max(a, b));
  return best + Math.log(z.reduce((sum, value) => sum + Math.exp(value - best), 0));
}
