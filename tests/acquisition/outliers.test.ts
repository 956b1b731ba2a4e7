/** What is unusual: neighbour distances against the plain definition, limits on clean and on spoiled pools, and what letters say about writing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { learnLetters } from '../../main/acquisition/letters.ts';
import { findUnusual, neighbourDistances } from '../../main/acquisition/outliers.ts';
import { matrix, row } from '../../main/domain/matrix.ts';
import { createRng } from '../../main/domain/rng.ts';

const ANSWERS = join(import.meta.dirname, '../../../shared/data/medquad/answers.jsonl');

test('the distance is the mean to the ten nearest that are neither the item nor its copies', async () => {
  const rng = createRng(1);
  const n = 80;
  const vectors = matrix(
    n,
    7,
    Float32Array.from({ length: 7 * n }, () => rng.normal()),
  );
  const duplicates = Int32Array.from({ length: n }, (_, i) => (i % 9 === 0 ? 3 : -1));
  const reference = rng.sample(n, 40);
  const rows = rng.sample(n, 30);
  const found = await neighbourDistances(vectors, { rows, reference, duplicates });
  rows.forEach((item, i) => {
    const distances = reference
      .filter((other) => other !== item && !(item % 9 === 0 && other % 9 === 0))
      .map((other) => Math.hypot(...row(vectors, item).map((value, j) => value - row(vectors, other)[j])))
      .sort((a, b) => a - b);
    expect(found[i]).toBeCloseTo(distances.slice(0, 10).reduce((sum, d) => sum + d, 0) / 10, 5);
  });
  await expect(
    neighbourDistances(vectors, { rows: reference, reference: [], signal: AbortSignal.abort() }),
  ).resolves.toEqual(new Float64Array(40).fill(Infinity));
});

describe('limits', () => {
  const draw = (n: number, seed: number, next: (rng: ReturnType<typeof createRng>) => number) => {
    const rng = createRng(seed);
    return Array.from({ length: n }, () => next(rng));
  };
  const SHAPES = {
    normal: (rng: ReturnType<typeof createRng>) => rng.normal(),
    even: (rng: ReturnType<typeof createRng>) => rng.next(),
    exponential: (rng: ReturnType<typeof createRng>) => -Math.log(1 - rng.next()),
    'log-normal': (rng: ReturnType<typeof createRng>) => Math.exp(rng.normal()),
  };

  test.each(Object.entries(SHAPES))(
    'of a clean pool, at most about one in two hundred is unusual: %s',
    (shape, next) => {
      let beyond = 0;
      for (let seed = 0; seed < 10; seed++) {
        beyond += findUnusual(draw(1000, seed, next), { side: 'high', least: 0 }).beyond.length;
      }
      // Of 10,000. A log-normal tail is heavier than an exponential one, beyond which no limit goes.
      expect(beyond).toBeLessThanOrEqual(shape === 'log-normal' ? 180 : 80);
    },
  );

  test.each([1, 5, 8])('of items that do not belong, %d in a hundred are all found', (percent) => {
    const values = draw(1000, 3, SHAPES.normal);
    for (let i = 0; i < 10 * percent; i++) values[i] = 9 + i / 100;
    const { beyond, usual } = findUnusual(values, { side: 'both', least: 0 });
    expect(beyond.filter((i) => i < 10 * percent)).toHaveLength(10 * percent);
    expect(beyond.length - 10 * percent).toBeLessThanOrEqual(10);
    expect(usual.low).toBeLessThan(-1.9);
  });

  test('what a fifth of the pool has in common is not unusual', () => {
    const values = draw(1000, 4, SHAPES.normal);
    for (let i = 0; i < 200; i++) values[i] = 9;
    expect(findUnusual(values, { side: 'high', least: 0 }).beyond).toEqual([]);
  });

  test('where everything is the same, differences that do not matter are none; what was not measured is not unusual', () => {
    const values = Array.from({ length: 200 }, (_, i) => (i < 5 ? 0.02 : i < 8 ? 0.3 : i < 20 ? NaN : 0));
    expect(findUnusual(values, { side: 'both', least: 0.03 }).beyond).toEqual([5, 6, 7]);
  });

  test('a few items have no limits', () => {
    expect(findUnusual([...new Array<number>(98).fill(1), 500], { side: 'both', least: 0 }).beyond).toEqual([]);
  });
});

const FRENCH = [
  'Le diabète est une maladie chronique qui survient lorsque le pancréas ne produit pas assez d’insuline.',
  'Les symptômes apparaissent souvent peu à peu : fatigue, soif intense, perte de poids et vision trouble.',
  'Le médecin peut prescrire un régime adapté, de l’exercice et, si nécessaire, des médicaments par voie orale.',
];
const OTHERS = [
  'Die Erkrankung wird durch eine Veränderung in einem Gen verursacht und kann in der Familie weitergegeben werden.',
  '糖尿病是一种慢性疾病，当胰腺不能产生足够的胰岛素时就会发生这种情况。患者常常感到口渴和疲劳，需要长期治疗和定期检查血糖水平。',
  'asdkfj qwoeiru zxmcnvb qpwoeir alskdjf zmxncbv qwpeoriu asldkfj zxcvqq',
];

describe('letters', () => {
  test('say nothing about a few of them', () => {
    const model = learnLetters(['the liver is a large organ']);
    expect(model.surprise('the liver')).toBeNull();
    expect(model.surprise('…… ?')).toBeNull();
  });

  test('have the chances that one works out by hand', () => {
    // Two letters and blanks: 45 times “ab ”.
    const text = 'ab '.repeat(45);
    const bits = learnLetters([text]).surprise(text)!;
    // All but the first few letters are certain: the counts of 45 against a prior of 5 shared among what was seen.
    expect(bits).toBeGreaterThan(0);
    expect(bits).toBeLessThan(0.35);
    expect(learnLetters([]).surprise('x'.repeat(50))).toBeCloseTo(Math.log2(502) * (52 / 50), 6);
  });

  test.skipIf(!existsSync(ANSWERS))('tell French, German, Chinese and noise from English answers', () => {
    const texts = readFileSync(ANSWERS, 'utf8').trim().split('\n');
    const pool = Array.from({ length: 600 }, (_, i) => (JSON.parse(texts[i * 12]) as { text: string }).text);
    const models = [1, 0].map((rest) => learnLetters(pool.filter((_, i) => i % 2 === rest)));
    const all = [...pool, ...FRENCH, ...OTHERS];
    const surprise = all.map((text, i) => models[i % 2].surprise(text) ?? NaN);
    const { beyond } = findUnusual(surprise, { side: 'high', least: 0.4 });
    expect(beyond.filter((i) => i >= 600)).toEqual([600, 601, 602, 603, 604, 605]);
    expect(beyond.length).toBeLessThanOrEqual(8);
  });
});
