/**
 * Copies of a picture, saved again or made smaller, are one thing to ask: never two of them
 * in one batch, never one of them in training while another measures. The stored training
 * sets are looked at themselves.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Snapshot } from '../../main/training/index.ts';
import { generateSample } from '../../resources/sample-project/generate.ts';
import { done, idle, imported, label, newFolder, newProject, reading, truthOf } from './small-projects.ts';

test('Copies are never asked together nor split, and no training set holds an audit item or shares a group with one', async () => {
  const folder = newFolder();
  const sample = await generateSample(folder, { seed: 4, cells: 32, notes: 0 });
  const lines = readFileSync(sample.cellsTable, 'utf8').trim().split('\n').slice(1);
  const truth = new Map<string, string[]>();
  for (const [i, line] of lines.entries()) {
    const [id, image, kind] = line.split(',');
    truth.set(image.split('/')[1], [kind]);
    if (i % 2 === 1) continue;
    const original = sharp(join(folder, image));
    await original
      .clone()
      .jpeg({ quality: 75 })
      .toFile(join(sample.cellsDir, `${id}-again.jpg`));
    await original
      .clone()
      .resize(64)
      .png()
      .toFile(join(sample.cellsDir, `${id}-small.png`));
    truth.set(`${id}-again.jpg`, [kind]);
    truth.set(`${id}-small.png`, [kind]);
  }
  const project = await newProject({ classes: sample.cellClasses, auditShare: 0.35, seed: 5 });
  const { result } = await imported(project, { sources: [sample.cellsDir] });
  expect(result).toMatchObject({ added: 64, problems: 0 });

  const rows = reading(project, (reader) => reader.items.poolRows());
  const at = new Map(rows.id.map((id, i) => [id, i]));
  const names = rows.id.map((id) => project.item(id).name);
  const stem = (name: string) => name.replace(/(-again|-small)?\.(jpg|png)$/, '');
  // The perceptual hash may bring cells together that only look alike; it may not miss a copy.
  const clusterOf = new Map<string, number>();
  for (const [i, name] of names.entries()) {
    if (!clusterOf.has(stem(name))) clusterOf.set(stem(name), rows.cluster[i]);
    expect(rows.cluster[i], name).toBe(clusterOf.get(stem(name)));
  }
  for (let i = 0; i < rows.count; i++) {
    for (let j = 0; j < i; j++) {
      if (rows.cluster[i] === rows.cluster[j]) expect(rows.component[i]).toBe(rows.component[j]);
      if (rows.component[i] === rows.component[j]) expect(rows.role[i]).toBe(rows.role[j]);
    }
  }
  expect(rows.role.some((role) => role === 1)).toBe(true);

  const asked = new Set<number>();
  const clusters = new Set(rows.cluster).size;
  for (let round = 0; round < 4; round++) {
    const batch = await project.queue(8);
    const own = batch.map(({ item }) => rows.cluster[at.get(item)!]);
    expect(new Set(own).size, `batch ${round}: ${batch.map(({ view }) => view.name).join(' ')}`).toBe(own.length);
    // While there are pictures that nobody has seen, a copy of one that is labelled is not asked.
    if (asked.size + own.length <= clusters / 2) expect(own.filter((cluster) => asked.has(cluster))).toEqual([]);
    own.forEach((cluster) => asked.add(cluster));
    for (const { item, view } of batch) label(project, item, truthOf(truth, view.name));
    if (round > 0) done(await project.train().finished);
  }

  const auditIds = new Set(rows.id.filter((_, i) => rows.role[i] === 1));
  const auditComponents = new Set(rows.component.filter((_, i) => rows.role[i] === 1));
  const snapshots = reading(project, (reader) =>
    reader.versions.runs().map(({ snapshot }) => reader.versions.snapshot(snapshot) as Snapshot),
  );
  expect(snapshots).toHaveLength(3);
  const labelled = reading(project, (reader) => reader.items.poolRows()).state.filter((state) => state === 1).length;
  const measured = project.status().audit.n;
  expect(measured).toBeGreaterThan(0);
  expect(snapshots.at(-1)!.items).toHaveLength(labelled - measured);
  for (const { items } of snapshots) {
    expect(items.length).toBeGreaterThan(0);
    for (const { id } of items) {
      expect(auditIds.has(id)).toBe(false);
      expect(auditComponents.has(rows.component[at.get(id)!])).toBe(false);
    }
  }
});

test('Texts that differ in a word are not asked together either, in no part of the queue', async () => {
  const file = join(newFolder(), 'notes.jsonl');
  const long = (i: number) => Array.from({ length: 40 }, (_, w) => `w${(i * 7919 + w * 104729) % 997}`).join(' ');
  const lines = Array.from({ length: 60 }, (_, i) => {
    const copy = i % 3 === 2;
    return JSON.stringify({ id: `t-${i}`, text: copy ? `${long(i - 1)} again` : long(i) });
  });
  writeFileSync(file, `${lines.join('\n')}\n`);
  const project = await newProject({ classes: ['a', 'b'], auditShare: 0.5 });
  await imported(project, { sources: [file], mapping: { text: 'text', id: 'id' } });
  const cluster = reading(project, (reader) => {
    const rows = reader.items.poolRows();
    return new Map(rows.id.map((id, i) => [id, rows.cluster[i]]));
  });
  expect(new Set(cluster.values()).size).toBe(40);
  const batch = (await project.queue(30)).map(({ item }) => cluster.get(item));
  expect(batch.length).toBeGreaterThan(15);
  expect(new Set(batch).size).toBe(batch.length);
});

test('A pool of nothing but copies is asked one by one, and the loop comes to rest between', async () => {
  const file = join(newFolder(), 'notes.jsonl');
  const words = Array.from({ length: 60 }, (_, w) => `w${w * 31}`).join(' ');
  const lines = Array.from({ length: 24 }, (_, i) => JSON.stringify({ id: `t-${i}`, text: `${words} ${i}` }));
  writeFileSync(file, `${lines.join('\n')}\n`);
  const project = await newProject({ classes: ['a', 'b'], auditShare: 0 }, { resume: true });
  await imported(project, { sources: [file], mapping: { text: 'text', id: 'id' } });
  await idle(project);
  for (let i = 0; i < 6; i++) {
    await idle(project);
    const [entry, ...rest] = project.next(5);
    expect(rest).toEqual([]);
    label(project, entry.item, ['ab'[i % 2]]);
  }
  await idle(project);
  expect(project.jobs.list(100).length).toBeLessThan(20);
});
