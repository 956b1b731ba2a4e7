import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Part } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import { judgeLabels } from '../../main/evidence/index.ts';
import { fitEncoder, openEncoder } from '../../main/inference/index.ts';
import { fitHead, poolPrior } from '../../main/training/index.ts';

const ANSWERS = join(import.meta.dirname, '../../../shared/data/medquad/answers.jsonl');

// All of them, and the X-rays, are in `npm run bench -- noise`.
it.skipIf(!existsSync(ANSWERS))(
  'Of medical answers with one label in twenty changed, most of the changed are in the first tenth of second looks',
  async () => {
    const lines = readFileSync(ANSWERS, 'utf8').trim().split('\n');
    const count = 240;
    const answers = Array.from(
      { length: count },
      (_, i) => JSON.parse(lines[i * 32]) as { text: string; label: string },
    );
    const items = answers.map(({ text }): Part[] => [
      { kind: 'text', text: text.slice(0, 2000), sha256: '', path: null },
    ]);
    const { model, card } = await fitEncoder(items, { seed: 1 });
    const encoder = await openEncoder(model, card);
    const { embedding } = await encoder.embed(items);
    await encoder.close();
    const classes = [...new Set(answers.map(({ label }) => label))];
    const rng = createRng(1);
    const changed = new Set(rng.sample(count, count / 20));
    const given = answers.map(({ label }, i) => {
      const truth = classes.indexOf(label);
      return [changed.has(i) ? (truth + 1 + rng.int(classes.length - 1)) % classes.length : truth];
    });
    const { crossValidation } = await fitHead({
      embedding,
      labels: given,
      task: 'classify',
      classCount: classes.length,
      prior: await poolPrior(embedding, 1),
      seed: 1,
    });
    const readings = given.map((own, item) => ({ item, annotator: 0, classes: own }));
    const { right } = judgeLabels({
      task: 'classify',
      model: crossValidation!.probabilities,
      given,
      readings,
      annotators: 1,
    });
    const first = right.map((_, i) => i).sort((a, b) => right[a] - right[b]);
    const found = [...first.subarray(0, count / 10)].filter((i) => changed.has(i)).length;
    expect(found / changed.size).toBeGreaterThanOrEqual(0.6);
  },
  60_000,
);
