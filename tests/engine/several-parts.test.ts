/**
 * Items of a picture, a report and measurements with gaps: fused, learned, predicted. A
 * picture that is gone is a state of its item: nothing crashes, the item is not asked, and
 * it comes back with its file.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { ItemId } from '../../main/domain/item.ts';
import { createRng } from '../../main/domain/rng.ts';
import type { Project } from '../../main/project.ts';
import {
  closed,
  done,
  idle,
  imported,
  itemsOf,
  label,
  labelNext,
  newFolder,
  newProject,
  reopened,
  truthOf,
} from './small-projects.ts';

const CLASSES = ['calm', 'busy'];

/** Cases whose picture, report and measurements each say a little about the class. */
async function writeCases(count: number) {
  const rng = createRng(3);
  const folder = newFolder();
  const rows = ['case;picture;report;age;pressure;smoker'];
  const truth = new Map<string, string[]>();
  for (let i = 0; i < count; i++) {
    const busy = rng.next() < 0.5;
    const id = `case-${i}`;
    truth.set(id, [CLASSES[Number(busy)]]);
    const pixels = Buffer.alloc(32 * 32);
    for (let j = 0; j < pixels.length; j++) pixels[j] = 128 + (busy ? 45 : 20) * Math.sin(j * 1.7) + 30 * rng.normal();
    await sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } })
      .png()
      .toFile(join(folder, `${id}.png`));
    const report = `${busy === rng.next() < 0.8 ? 'restless, marked' : 'quiet, faint'} pattern in field ${i}`;
    const pressure = rng.next() < 0.3 ? '' : String(Math.round(120 + (busy ? 12 : 0) + 8 * rng.normal()));
    rows.push(`${id};${id}.png;"${report}";${30 + rng.int(50)};${pressure};${['yes', 'no', ''][rng.int(3)]}`);
  }
  const table = join(folder, 'cases.csv');
  writeFileSync(table, `${rows.join('\n')}\n`);
  return { table, folder, truth };
}

const MAPPING = { id: 'case', image: 'picture', text: 'report', numbers: ['age', 'pressure', 'smoker'] };

function pictureOf(project: Project, item: ItemId): string {
  return project.imagePath(item, 0).path;
}

test('Pictures, reports and measurements with gaps are one item each, and are learned together', async () => {
  const cases = await writeCases(90);
  const project = await newProject({ classes: CLASSES });
  const { result } = await imported(project, { sources: [cases.table], mapping: MAPPING });
  expect(result).toMatchObject({ added: 90, duplicates: 0, problems: 0 });
  const [first] = itemsOf(project);
  expect(first.parts.map(({ kind }) => kind)).toEqual(['image', 'text', 'numbers']);
  const values = itemsOf(project).flatMap(({ parts }) =>
    parts.flatMap((part) => (part.kind === 'numbers' ? part : [])),
  );
  expect(values.some((part) => part.values.pressure === null)).toBe(true);

  await labelNext(project, cases.truth, 40);
  done(await project.train().finished);
  expect(project.encoders()[0]).toMatchObject({ kind: 'image+text+numbers', fittedOn: 90 });
  const { classes, items } = await project.predict();
  expect(items).toHaveLength(90);
  const open = items.filter(({ item }) => project.item(item).state === 'open');
  const right = open.filter(
    ({ item, probabilities }) =>
      truthOf(cases.truth, project.item(item).name)[0] === classes[probabilities[0] >= probabilities[1] ? 0 : 1],
  );
  expect(right.length / open.length).toBeGreaterThan(0.75);
});

test('A picture that went missing before it was looked at keeps its item out of the queue until it is back', async () => {
  const cases = await writeCases(30);
  const project = await newProject({ classes: CLASSES });
  await imported(project, { sources: [cases.table], mapping: MAPPING });
  const gone = itemsOf(project)[4];
  const path = pictureOf(project, gone.id);
  renameSync(path, `${path}.away`);

  const asked = await project.queue(30);
  expect(asked).toHaveLength(29);
  expect(asked.map(({ item }) => item)).not.toContain(gone.id);
  expect(project.item(gone.id).parts[0]).toMatchObject({ kind: 'image', missing: true });

  for (const { item, view } of asked.slice(0, 12)) label(project, item, truthOf(cases.truth, view.name));
  done(await project.train().finished);
  expect((await project.predict()).items.map(({ item }) => item)).not.toContain(gone.id);

  renameSync(`${path}.away`, path);
  const again = await project.queue(30);
  expect(again.map(({ item }) => item)).toContain(gone.id);
  expect((await project.predict()).items.map(({ item }) => item)).toContain(gone.id);
});

test('A picture that went missing after it was looked at is not asked when the next are chosen', async () => {
  const cases = await writeCases(30);
  const project = await newProject({ classes: CLASSES });
  await imported(project, { sources: [cases.table], mapping: MAPPING });
  const asked = await project.queue(12);
  for (const { item, view } of asked.slice(0, 12)) label(project, item, truthOf(cases.truth, view.name));
  const open = itemsOf(project).filter(({ state }) => state === 'open');
  const gone = open.slice(0, 5).map(({ id }) => id);
  const paths = gone.map((id) => pictureOf(project, id));
  for (const path of paths) renameSync(path, `${path}.away`);
  done(await project.train().finished);
  const next = (await project.queue(30)).map(({ item }) => item);
  expect(next.filter((item) => gone.includes(item))).toEqual([]);
  expect(next).toHaveLength(30 - 12 - 5);

  for (const path of paths) renameSync(`${path}.away`, path);
  expect((await project.queue(30)).map(({ item }) => item)).toEqual(expect.arrayContaining(gone));
});

test('While every picture is away nothing is tried again and again; it goes on once they are back', async () => {
  const cases = await writeCases(20);
  const project = await newProject({ classes: CLASSES });
  await imported(project, { sources: [cases.table], mapping: { id: 'case', image: 'picture' } });
  const paths = itemsOf(project).map(({ id }) => pictureOf(project, id));
  for (const path of paths) renameSync(path, `${path}.away`);
  await closed(project);

  const again = await reopened(project.dir, { resume: true });
  await idle(again);
  for (let i = 0; i < 20; i++) again.next(5);
  await idle(again);
  const failed = again.jobs.list(100).filter(({ state }) => state === 'failed');
  expect(failed.map(({ kind, error }) => [kind, error?.code])).toEqual([['encode', 'encoder-missing']]);
  expect(again.status()).toMatchObject({ items: 20, open: 20 });

  for (const path of paths) renameSync(`${path}.away`, path);
  for (const { item, view } of again.next(6)) label(again, item, truthOf(cases.truth, view.name));
  await idle(again);
  expect(again.status()).toMatchObject({ labelled: 6, modelVersion: 1 });
  // The first six keep the places that they were given before there was a model.
  expect(
    again
      .next(20)
      .slice(6)
      .map(({ probabilities }) => probabilities?.length),
  ).toEqual(Array(8).fill(2));
});
