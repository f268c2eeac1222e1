// Random numbers equal to NumPy's: Generator(PCG64(SeedSequence(seed, spawn_key=(k,)))).
// O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms for random number
// generation" (variant XSL-RR 128/64); the seeding is that of numpy.random.SeedSequence.
"use strict";

const MASK_64 = (1n << 64n) - 1n, MASK_128 = (1n << 128n) - 1n;
const PCG_MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;
const POOL_WORDS = 4;

class Random {
  constructor(seed, k) {
    const words = seedWords(seed, k, 8);
    const number = (n) => (BigInt(words[2 * n + 1]) << 32n) | BigInt(words[2 * n]);
    const start = (number(0) << 64n) | number(1), sequence = (number(2) << 64n) | number(3);
    this.increment = ((sequence << 1n) | 1n) & MASK_128;
    this.state = (this.increment + start) & MASK_128;
    this.advance();
  }

  advance() {
    this.state = (this.state * PCG_MULTIPLIER + this.increment) & MASK_128;
  }

  // Returns the next uniform number in [0, 1): 53 random bits.
  next() {
    this.advance();
    const mixed = (this.state >> 64n) ^ (this.state & MASK_64), turn = this.state >> 122n;
    const bits = ((mixed >> turn) | (mixed << (64n - turn))) & MASK_64;
    return Number(bits >> 11n) / 2 ** 53;
  }
}

// Returns `count` 32-bit words of numpy.random.SeedSequence(seed, spawn_key=(k,)).generate_state(count).
function seedWords(seed, k, count) {
  const entropy = [];
  for (let rest = BigInt(seed); rest > 0n; rest >>= 32n) entropy.push(Number(rest & 0xffffffffn));
  while (entropy.length < POOL_WORDS) entropy.push(0); // as SeedSequence does before a spawn key
  entropy.push(k);

  let multiplier = 0x43b0d7e5;
  const hash = (value) => {
    value ^= multiplier;
    multiplier = Math.imul(multiplier, 0x931e8875);
    value = Math.imul(value, multiplier);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const value = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = entropy.slice(0, POOL_WORDS).map(hash);
  for (let from = 0; from < POOL_WORDS; from++)
    for (let to = 0; to < POOL_WORDS; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const word of entropy.slice(POOL_WORDS))
    for (let to = 0; to < POOL_WORDS; to++) pool[to] = mix(pool[to], hash(word));

  multiplier = 0x8b51f9dd;
  return Array.from({ length: count }, (_, n) => {
    let value = pool[n % POOL_WORDS] ^ multiplier;
    multiplier = Math.imul(multiplier, 0x58f38ded);
    value = Math.imul(value, multiplier);
    return (value ^ (value >>> 16)) >>> 0;
  });
}
