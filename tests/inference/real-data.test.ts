import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Part } from '../../main/domain/item.ts';
import { type Matrix, row } from '../../main/domain/matrix.ts';
import { fitEncoder, openEncoder } from '../../main/inference/index.ts';

const DATA = join(import.meta.dirname, '../../../shared/data');
const XRAYS = join(DATA, 'chest-xray');
const ANSWERS = join(DATA, 'medquad/answers.jsonl');

/** Share of items whose nearest other item has the same label. */
function nearestNeighbourAccuracy(m: Matrix, labels: readonly string[]): number {
  let right = 0;
  for (let i = 0; i < m.rows; i++) {
    let best = -1;
    let nearest = Infinity;
    for (let j = 0; j < m.rows; j++) {
      if (j === i) continue;
      const distance = row(m, i).reduce((sum, value, d) => sum + (value - row(m, j)[d]) ** 2, 0);
      if (distance < nearest) [best, nearest] = [j, distance];
    }
    if (labels[best] === labels[i]) right++;
  }
  return right / m.rows;
}

async function fitAndEmbed(items: Part[][]) {
  const { model, card } = await fitEncoder(items, { seed: 1 });
  const encoder = await openEncoder(model, card);
  const result = await encoder.embed(items);
  await encoder.close();
  return { ...result, bytes: model.length };
}

describe.skipIf(!existsSync(XRAYS))('chest X-rays', () => {
  it('lie nearer to their own kind than chance, in an encoder made from 36 of them', async () => {
    const labels: string[] = [];
    const items = readdirSync(XRAYS).flatMap((label) =>
      readdirSync(join(XRAYS, label))
        .slice(0, 12)
        .map((name): Part[] => {
          labels.push(label);
          const path = join(XRAYS, label, name);
          return [{ kind: 'image', path, sha256: '', sizeBytes: 0, width: 0, height: 0, format: 'jpeg' }];
        }),
    );
    const { reduced, problems } = await fitAndEmbed(items);
    expect(problems).toEqual([]);
    expect(nearestNeighbourAccuracy(reduced, labels)).toBeGreaterThan(0.45);
  });
});

describe.skipIf(!existsSync(ANSWERS))('medical answers', () => {
  it('lie nearer to their own kind than chance, in an encoder made from 150 of them', async () => {
    const lines = readFileSync(ANSWERS, 'utf8').trim().split('\n');
    const answers = Array.from({ length: 150 }, (_, i) => JSON.parse(lines[i * 50]) as { text: string; label: string });
    const items = answers.map(({ text }): Part[] => [{ kind: 'text', text, sha256: '', path: null }]);
    const { embedding, bytes } = await fitAndEmbed(items);
    expect(
      nearestNeighbourAccuracy(
        embedding,
        answers.map((a) => a.label),
      ),
    ).toBeGreaterThan(0.45);
    expect(bytes).toBeLessThan(12.5e6);
  });
});
