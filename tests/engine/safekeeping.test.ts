/**
 * Backup and check as a desk asks for them: beside the engine, which answers meanwhile, and
 * told of afterwards.
 */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createRouterClient } from '@orpc/server';
import Database from 'better-sqlite3';
import { afterAll, expect, test } from 'vitest';
import { encodeWho, WHO_HEADER } from '../../main/domain/caller.ts';
import { Engine } from '../../main/engine.ts';
import { createProject, openProject, openReader, restoreBackup } from '../../main/store/index.ts';
import { millionProject } from '../soak/million-project.ts';
import { newFolder } from './small-projects.ts';

const engine = new Engine({ host: 'cli', home: newFolder() });
const client = createRouterClient(engine.router, {
  context: { reqHeaders: new Headers({ [WHO_HEADER]: encodeWho('Kim') }) },
});
afterAll(() => engine.close());

test('A backup is made and told of, and the engine answers while it and a check are at work', async () => {
  // Large enough to take a moment: 8,000 notes.
  const dir = millionProject(8000, newFolder());
  await client.desk.open({ dir });
  expect(await client.safekeeping.state()).toMatchObject({
    place: { kind: 'local' },
    clock: { behindMs: null },
    backup: null,
  });
  const file = join(newFolder(), 'p.backup');
  let isOver = false;
  const work = Promise.all([client.safekeeping.backup({ file }), client.safekeeping.check()]).finally(
    () => (isOver = true),
  );
  let answered = 0;
  for (; !isOver; answered++) {
    await client.status();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const [state, check] = await work;
  // The engine itself did none of it: while it took seconds of processor, status was answered all along.
  expect(answered).toBeGreaterThan(3);
  expect(check).toEqual({ ok: true, count: 0, problems: [] });
  expect(state.backup).toMatchObject({ file });
  expect(await client.safekeeping.state()).toEqual(state);
  const restored = join(newFolder(), 'restored');
  restoreBackup(file, restored);
  const reader = openReader(restored);
  expect(reader.counts().items).toBe(8000);
  reader.close();
  const trail = await client.trail.list({ limit: 5 });
  expect(trail.entries.find(({ call }) => call === 'safekeeping.backup')).toMatchObject({
    who: 'Kim',
    subject: { file },
  });
});

test('A backup that cannot be made is said and leaves nothing; a changed label is found', async () => {
  const dir = join(newFolder(), 'p');
  const at = Date.now() + 3 * 3_600_000;
  const store = createProject(dir, { name: 'p', task: 'classify', classes: ['a', 'b'], seed: 1, clock: () => at });
  const job = store.jobs.enqueue('import', {}).id;
  const text = { kind: 'text' as const, text: 'one', sha256: '1'.repeat(64), path: null };
  const item = {
    id: '1234567890abcdef' as never,
    name: 'one',
    parts: [text],
    group: null,
    label: null,
    fingerprint: null,
    source: 's',
  };
  store.items.addCandidates([item], { job, cursor: null });
  store.jobs.finish(job);
  store.annotations.append({ item: item.id, act: 'label', classes: ['a'], annotator: 'kim', durationMs: 1 });
  store.close();
  const db = new Database(join(dir, 'project.sqlite'));
  db.exec(`DROP TRIGGER annotations_no_update; UPDATE annotations SET classes = '["b"]'`);
  db.close();
  await client.desk.open({ dir });
  const nowhere = join(newFolder(), 'no', 'such', 'folder', 'p.backup');
  await expect(client.safekeeping.backup({ file: nowhere })).rejects.toMatchObject({ data: { code: 'io-failed' } });
  await expect(client.safekeeping.backup({ file: join(dir, 'project.sqlite') })).rejects.toMatchObject({
    data: { code: 'input-invalid' },
  });
  expect(existsSync(nowhere)).toBe(false);
  const state = await client.safekeeping.state();
  expect(state.backup).toBe(null);
  // The label is of a clock that was three hours ahead.
  expect(Math.round((state.clock.behindMs ?? 0) / 60_000)).toBe(180);
  expect(state.shorterAt).toBe(null);
  const check = await client.safekeeping.check();
  expect(check.ok).toBe(false);
  expect(check.problems.some(({ where }) => where === 'annotation 1')).toBe(true);
});

test('A project whose record ended earlier than it had says so', async () => {
  const dir = join(newFolder(), 'p');
  const made = { name: 'p', task: 'classify' as const, classes: ['a', 'b'], seed: 1, clock: () => Date.now() };
  createProject(dir, made).close();
  copyFileSync(join(dir, 'project.sqlite'), join(dir, 'yesterday'));
  const store = openProject(dir, made);
  store.recorded({ who: 'kim', call: 'schema.addClass' }, () => store.schema.addClass('c'));
  store.close();
  copyFileSync(join(dir, 'yesterday'), join(dir, 'project.sqlite'));
  await client.desk.open({ dir });
  const { shorterAt } = await client.safekeeping.state();
  expect(shorterAt).toBeGreaterThan(Date.now() - 60_000);
});
