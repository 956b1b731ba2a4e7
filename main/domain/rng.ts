/**
 * The one seeded generator (xoshiro128**, Blackman & Vigna 2018, seeded by splitmix32).
 * Every run records its seed; nothing else in the engine may draw random numbers.
 */

export interface Rng {
  readonly seed: number;
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, n). */
  int(n: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** Shuffles in place and returns its argument. */
  shuffle<T>(values: T[]): T[];
  /** `count` different integers of [0, n), in random order. */
  sample(n: number, count: number): number[];
  /** An independent generator, determined by this one's seed and `name`. */
  derive(name: string): Rng;
}

export function createRng(seed: number): Rng {
  let mixed = seed >>> 0;
  const splitmix = () => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let d = splitmix();
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const bits = () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };
  const rng: Rng = {
    seed,
    next: () => (bits() * 2 ** 21 + (bits() >>> 11)) / 2 ** 53,
    int: (n) => Math.floor(rng.next() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next()),
    shuffle(values) {
      for (let i = values.length - 1; i > 0; i--) {
        const j = rng.int(i + 1);
        [values[i], values[j]] = [values[j], values[i]];
      }
      return values;
    },
    sample(n, count) {
      const chosen = new Map<number, number>();
      const result: number[] = [];
      for (let i = 0; i < Math.min(n, count); i++) {
        const j = i + rng.int(n - i);
        result.push(chosen.get(j) ?? j);
        chosen.set(j, chosen.get(i) ?? i);
      }
      return result;
    },
    derive: (name) => createRng(hashString(name, seed)),
  };
  return rng;
}

/** 32-bit FNV-1a of a string's UTF-16 units, finished by a mixer so that near names land far apart. */
export function hashString(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
