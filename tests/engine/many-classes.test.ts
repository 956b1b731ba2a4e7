/**
 * Any number of classes per item, end to end: labels of none, one and several, independent
 * probabilities, and a model file that gives them without the program.
 */
import { expect, test } from 'vitest';
import { openItemModel } from '../../main/inference/index.ts';
import type { EncoderEntry } from '../../main/compute-api.ts';
import {
  COMPLAINTS,
  done,
  imported,
  itemsOf,
  labelNext,
  newProject,
  reading,
  truthOf,
  writeNotes,
} from './small-projects.ts';

test('Items with none, one or several classes are asked, learned and predicted, and the model file alone says the same', async () => {
  const notes = writeNotes(150, { many: true });
  const project = await newProject({ task: 'classify-many', classes: COMPLAINTS });
  await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id' } });

  const shown = await labelNext(project, notes.truth, 30);
  expect(new Set(shown.map(({ item }) => item)).size).toBe(30);
  const sizes = new Set(shown.map(({ view }) => truthOf(notes.truth, view.name).length));
  expect([...sizes]).toEqual(expect.arrayContaining([0, 1, 2]));
  done(await project.train().finished);
  await labelNext(project, notes.truth, 30);
  done(await project.train().finished);

  const status = project.status();
  expect(status).toMatchObject({ task: 'classify-many', labelled: 60, modelVersion: 2 });
  expect(Object.values(status.perClass).reduce((sum, n) => sum + n, 0)).toBe(
    itemsOf(project).reduce((sum, { classes }) => sum + (classes?.length ?? 0), 0),
  );

  const { classes, items } = await project.predict();
  expect(classes).toEqual(COMPLAINTS);
  expect(items).toHaveLength(150);
  const sums = items.map(({ probabilities }) => probabilities.reduce((sum, p) => sum + p, 0));
  expect(Math.min(...sums)).toBeLessThan(0.9);
  expect(Math.max(...sums)).toBeGreaterThan(1.1);
  const asked = items.filter(({ item }) => project.item(item).state === 'open');
  const right = asked.flatMap(({ item, probabilities }) =>
    probabilities.map((p, j) => p > 0.5 === truthOf(notes.truth, project.item(item).name).includes(classes[j])),
  );
  expect(right.filter(Boolean).length / right.length).toBeGreaterThan(0.85);

  for (const { probabilities, suggestion, strategy } of project.next(20)) {
    expect(['margin-diverse', 'typicality', 'random', 'audit']).toContain(strategy);
    expect(suggestion?.classes).toEqual(classes.filter((_, j) => probabilities![j] > 0.5));
    expect(suggestion?.probability).toBeCloseTo(Math.min(...probabilities!.map((p) => Math.max(p, 1 - p))), 6);
  }

  const { model, card, parts, ids } = reading(project, (reader) => {
    const version = reader.versions.get(2)!;
    const rows = reader.items.poolRows();
    return {
      model: reader.blobs.read(version.blob),
      card: (reader.versions.encoder(version.encoder!)!.card as EncoderEntry).card,
      parts: reader.items.partsOf(rows.seq.slice(0, 20)),
      ids: rows.id.slice(0, 20),
    };
  });
  const alone = await openItemModel(model, card.parts, { threads: 1 });
  const { outputs } = await alone.run(parts, ['probabilities']);
  await alone.close();
  const predicted = new Map(items.map(({ item, probabilities }) => [item, probabilities]));
  ids.forEach((id, i) => {
    predicted.get(id)!.forEach((p, j) => expect(outputs.probabilities.data[i * 3 + j]).toBeCloseTo(p, 4));
  });
});
