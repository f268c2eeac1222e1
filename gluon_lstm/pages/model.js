// A model file (safetensors) in the page: its configuration and vocabulary, and its arrays as float32.
// Weights may be stored as float16, or as int8 with a scale per row.
"use strict";

const SCALE = ".scale"; // suffix of the scales of an int8 matrix

// Returns {config, tokens, specials, raw, shapes, arrays} of the bytes of a file.
function readModel(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)));
  const metadata = JSON.parse(header.__metadata__.gluon_lstm);
  delete header.__metadata__;
  const arrays = {}, shapes = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    const start = bytes.byteOffset + 8 + headerLength;
    arrays[name] = DECODERS[dtype](bytes.buffer.slice(start + from, start + to));
    shapes[name] = shape;
  }
  for (const name of Object.keys(arrays)) {
    const scales = arrays[name + SCALE];
    if (scales) arrays[name] = scaled(arrays[name], scales);
  }
  const { config, vocabulary: tokens, num_specials: specials, text } = metadata;
  return { config, tokens, specials, raw: text.raw, tokenizer: text.tokenizer, shapes, arrays };
}

const DECODERS = {
  F32: (buffer) => new Float32Array(buffer),
  F16: (buffer) => Float32Array.from(new Uint16Array(buffer), float16),
  I32: (buffer) => new Int32Array(buffer),
  I8: (buffer) => new Int8Array(buffer),
};

// Returns the value of a float16 (sign, 5 bits of exponent, 10 bits of fraction).
function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24);
}

// Returns int8 levels (rows, columns) times the scale of their row.
function scaled(levels, scales) {
  const weights = new Float32Array(levels.length), columns = levels.length / scales.length;
  for (let row = 0, k = 0; row < scales.length; row++)
    for (let column = 0; column < columns; column++, k++) weights[k] = levels[k] * scales[row];
  return weights;
}
