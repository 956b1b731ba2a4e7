/**
 * A backup that is taken while somebody labels is the project as it was at one moment: an
 * exact prefix of what was acknowledged. Here 25; 200 in `npm run soak -- --only backups`.
 * And it is the project for anybody else: under another path, on a machine without the originals.
 */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { itemIdOf, type ImagePart } from '../../main/domain/item.ts';
import { openProject, restoreBackup } from '../../main/store/index.ts';
import { itemView } from '../../main/views.ts';
import { closing, codeOf, fill, newProject, temporaryFolder, tickingClock } from '../store/projects.ts';
import { BY_HAND, copyUnderLoad } from './backups.ts';

const clock = tickingClock(5000);

it(
  'is an exact prefix of what was acknowledged, 25 times while another process labels',
  { timeout: 120_000 },
  async () => {
    const store = newProject();
    store.close();
    const { copies, acknowledged, meanwhile, problems } = await copyUnderLoad(store.dir, 25, temporaryFolder());
    expect(problems).toEqual([]);
    expect(copies).toBe(25);
    expect(acknowledged).toBeGreaterThan(500);
    expect(meanwhile).toBeGreaterThan(0);
  },
);

it('is not what copying the database by hand gives', { timeout: 60_000 }, async () => {
  const store = newProject();
  store.close();
  const { problems } = await copyUnderLoad(store.dir, 4, temporaryFolder(), BY_HAND);
  expect(problems.length).toBeGreaterThan(0);
});

it('is whole on another machine: other folder, originals absent, and labelling goes on', () => {
  const here = temporaryFolder();
  const store = newProject({}, path.join(here, 'project'));
  const picture = path.join(here, 'picture.png');
  fs.writeFileSync(picture, 'pixels');
  const part: ImagePart = {
    kind: 'image',
    path: picture,
    sha256: 'a'.repeat(64),
    sizeBytes: 6,
    width: 1,
    height: 1,
    format: 'png',
  };
  const id = itemIdOf([part], null);
  const job = store.jobs.enqueue('import', {}).id;
  store.items.addCandidates(
    [{ id, name: 'picture', parts: [part], group: null, label: null, fingerprint: null, source: picture }],
    { job, cursor: null },
  );
  const [text] = fill(store, 1);
  const label = (item: typeof id, by = store) =>
    by.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 5 });
  const made = [label(id), label(text)];
  const blob = store.blobs.put(Buffer.from('a model'));
  store.versions.promote(store.versions.add({ blob, encoder: null, run: null, card: {}, metrics: {} }), {
    who: 'kim',
    reason: null,
  });
  const file = path.join(here, 'p.backup');
  store.backup(file);
  store.close();

  const there = temporaryFolder();
  fs.copyFileSync(file, path.join(there, 'from the stick'));
  fs.rmSync(here, { recursive: true });
  // As a stick with a read-only file gives it.
  fs.chmodSync(path.join(there, 'from the stick'), 0o444);
  const dir = path.join(there, 'new', 'place');
  restoreBackup(path.join(there, 'from the stick'), dir);
  const again = closing(openProject(dir, { clock }));
  expect([...again.annotations.all()]).toEqual(made);
  expect(again.verify()).toEqual({ ok: true, problems: [] });
  const record = again.items.get(id);
  expect(record && itemView(record, []).parts[0]).toMatchObject({ kind: 'image', missing: true });
  expect(again.items.list({ state: 'labelled' }).map((item) => item.id)).toEqual([id, text]);
  expect(again.versions.live()?.blob).toBe(blob);
  expect(again.blobs.read(blob).toString()).toBe('a model');
  expect(label(text, again).sequence).toBe(3);
  expect(fs.statSync(path.join(dir, 'project.sqlite')).mode & 0o200).toBe(0o200);
});

it('replaces an earlier backup, and no other file', () => {
  const store = newProject();
  const folder = temporaryFolder();
  const file = path.join(folder, 'p.backup');
  store.backup(file);
  fill(store, 5);
  expect(store.backup(file).file).toBe(file);
  const text = path.join(folder, 'letter.txt');
  fs.writeFileSync(text, 'Dear colleague');
  for (const taken of [text, path.join(store.dir, 'project.sqlite'), path.join(store.dir, 'project.lock.json')])
    expect(codeOf(() => store.backup(taken))).toBe('input-invalid');
  expect(fs.readFileSync(text, 'utf8')).toBe('Dear colleague');
  expect(store.verify().ok).toBe(true);
  restoreBackup(file, path.join(folder, 'again'));
  const again = closing(openProject(path.join(folder, 'again'), { clock }));
  expect(again.counts().items).toBe(5);
});
