/**
 * Every procedure of the contract against the audit trail: one that changes the project
 * leaves exactly one entry that names it and the caller, and where the entry cannot be
 * written nothing is changed; one that only asks leaves none. A procedure that is added to
 * the contract has to be added here.
 */
import { join } from 'node:path';
import { createRouterClient } from '@orpc/server';
import { isContractProcedure } from '@orpc/contract';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { contract } from '../../main/api.ts';
import type { CallMeta } from '../../main/api-call.ts';
import { encodeWho, WHO_HEADER } from '../../main/domain/caller.ts';
import { Engine } from '../../main/engine.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';
import { openReader, type AuditEntry } from '../../main/store/index.ts';
import { COMPLAINTS, newFolder, writeNotes } from './small-projects.ts';

const WHO = 'Dr. Ångström 博士';
const engine = new Engine({ host: 'cli', home: newFolder() });
const client = createRouterClient(engine.router, {
  context: { reqHeaders: new Headers({ [WHO_HEADER]: encodeWho(WHO) }) },
});
const dir = join(newFolder(), 'project');
const notes = writeNotes(40);
const model = join(newFolder(), 'colours.onnx');
const exported = join(newFolder(), 'version.onnx');

/** Path of every procedure → whether it changes the project. */
function procedures(router: object, path: string[] = []): [string, boolean][] {
  return Object.entries(router).flatMap(([name, inner]: [string, object]) => {
    const here = [...path, name];
    if (!isContractProcedure(inner)) return procedures(inner, here);
    const { mutates } = inner['~orpc'].meta as unknown as CallMeta;
    return [[here.join('.'), mutates] as [string, boolean]];
  });
}
const TABLE = procedures(contract);

const said = { annotator: WHO };
const imports = { sources: [notes.file], mapping: { text: 'text', id: 'id' } };
const encoder = { model, kind: 'image' as const };
const item = async () => (await client.items.list({ state: 'open', limit: 1 })).items[0].id;
const label = async () =>
  client.annotations.add({ item: await item(), act: 'label', classes: [COMPLAINTS[0]], durationMs: 1, ...said });

/** A valid call of each. What it needs before it can be made (an act to undo) is made by `before`. */
const CALLS: Record<string, { before?: () => Promise<unknown>; call: () => Promise<unknown> }> = {
  'desk.state': { call: () => client.desk.state() },
  'desk.create': {
    call: () => client.desk.create({ dir: join(newFolder(), 'another'), classes: ['a', 'b'] }),
  },
  'desk.open': { call: () => client.desk.open({ dir }) },
  'desk.browse': { call: () => client.desk.browse({}) },
  status: { call: () => client.status() },
  'schema.addClass': { call: () => client.schema.addClass({ name: 'something else' }) },
  'imports.preview': { call: () => client.imports.preview(imports) },
  'imports.start': { call: () => client.imports.start(imports) },
  'imports.problems': { call: () => client.imports.problems() },
  'items.get': { call: async () => client.items.get({ item: await item() }) },
  'items.list': { call: () => client.items.list({}) },
  'items.similar': { call: async () => client.items.similar({ item: await item() }) },
  'items.explain': {
    call: async () => client.items.explain({ item: (await client.items.list({ state: 'labelled' })).items[0].id }),
  },
  'queue.next': { call: () => client.queue.next({}) },
  'annotations.add': { call: label },
  'annotations.undo': { before: label, call: () => client.annotations.undo(said) },
  'annotations.redo': {
    before: async () => (await label(), client.annotations.undo(said)),
    call: () => client.annotations.redo(said),
  },
  'annotations.history': { call: () => client.annotations.history({}) },
  'versions.list': { call: () => client.versions.list() },
  'versions.promote': {
    before: async () => {
      if ((await client.versions.list()).length < 2) await client.training.start().then(idle);
    },
    call: async () =>
      client.versions.promote({ version: (await client.versions.list()).find(({ live }) => !live)!.version }),
  },
  'versions.rollback': { call: () => client.versions.rollback() },
  'versions.export': { call: () => client.versions.export({ version: 1, file: exported, int8: false }) },
  'training.start': { call: () => client.training.start() },
  'training.tune': { call: () => client.training.tune() },
  'training.pause': { call: () => client.training.pause({ paused: false }) },
  'training.settings': { call: () => client.training.settings({ automatic: false }) },
  'training.present': { call: () => client.training.present() },
  'evidence.curve': { call: () => client.evidence.curve() },
  'evidence.report': { call: () => client.evidence.report() },
  'evidence.setTarget': { call: () => client.evidence.setTarget({ target: 0.91 }) },
  'evidence.guarantee': { call: () => client.evidence.guarantee({ alpha: 0.1, delta: 0.1 }) },
  'evidence.settledAt': { call: () => client.evidence.settledAt({ delta: 0.1 }) },
  'evidence.levels': { call: () => client.evidence.levels() },
  'evidence.setLevels': { call: () => client.evidence.setLevels({ alpha: 0.07, delta: 0.1 }) },
  'evidence.claim': { call: () => client.evidence.claim() },
  'evidence.spotCheck': { call: () => client.evidence.spotCheck({ count: 3 }) },
  'evidence.spotChecks': { call: () => client.evidence.spotChecks() },
  'evidence.subgroups': { call: () => client.evidence.subgroups() },
  'evidence.drift': { call: () => client.evidence.drift() },
  'looks.list': { call: () => client.looks.list({}) },
  'looks.consistency': { call: () => client.looks.consistency() },
  'looks.setReadings': { call: () => client.looks.setReadings({ share: 0.07 }) },
  'tray.list': { call: () => client.tray.list({}) },
  'tray.release': { call: async () => client.tray.release({ items: [await item()], ...said }) },
  'trail.list': { call: () => client.trail.list({}) },
  'trail.export': { call: () => client.trail.export({ file: join(newFolder(), 'trail.jsonl') }) },
  'safekeeping.state': { call: () => client.safekeeping.state() },
  'safekeeping.backup': { call: () => client.safekeeping.backup({ file: join(newFolder(), 'p.backup') }) },
  'safekeeping.check': { call: () => client.safekeeping.check() },
  'choosing.settings': { call: () => client.choosing.settings() },
  'choosing.set': { call: () => client.choosing.set({ randomShare: 0.07 }) },
  'choosing.strategies': { call: () => client.choosing.strategies() },
  'choosing.why': {
    call: async () => {
      const asked = (await client.queue.next({ count: 20 })).find(({ blind }) => !blind)!;
      return client.choosing.why({ item: asked.item });
    },
  },
  'encoders.inspect': { call: () => client.encoders.inspect(encoder) },
  'encoders.import': { call: () => client.encoders.import(encoder) },
  'encoders.useOwn': { call: () => client.encoders.useOwn() },
  'encoders.list': { call: () => client.encoders.list() },
  'devices.list': { call: () => client.devices.list() },
  'devices.choose': { call: () => client.devices.choose({ device: 'cpu' }) },
  'jobs.list': { call: () => client.jobs.list() },
  'jobs.cancel': { call: async () => client.jobs.cancel({ job: (await client.jobs.list())[0].id }) },
  changes: {
    call: async () => {
      const changes = await client.changes();
      await changes.next();
      await changes.return(undefined);
    },
  },
};

/** Waits until nothing is at work. */
async function idle(): Promise<void> {
  const quiet = async () => (await client.jobs.list()).every(({ endedAt }) => endedAt !== null);
  for (let still = 0; still < 3; still = (await quiet()) ? still + 1 : 0)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Entries by people after one, oldest first, of the project that is open. */
async function entriesAfter(entry: number): Promise<AuditEntry[]> {
  const reader = openReader((await client.desk.state()).project ?? dir);
  const entries = reader.audit.latest({ limit: 1000 }).filter((one) => one.entry > entry);
  reader.close();
  return entries.filter(({ call }) => !call.startsWith('program.')).toReversed();
}

async function headNow(): Promise<number> {
  const reader = openReader(dir);
  const { entry } = reader.audit.head();
  reader.close();
  return entry;
}

/** Everything a person can have decided or set, as text. */
function decided(): string {
  const db = new Database(join(dir, 'project.sqlite'), { readonly: true });
  const tables = ['settings', 'schema_versions', 'annotations', 'item_state', 'promotions', 'audit_draws', 'audit'];
  const dump = tables.map((table) => db.prepare(`SELECT * FROM ${table}`).all());
  const jobs = db.prepare('SELECT job, kind, params FROM jobs').all();
  const released = db.prepare('SELECT item, released_at FROM tray').all();
  db.close();
  return JSON.stringify([dump, jobs, released]);
}

beforeAll(async () => {
  const g = new GraphBuilder('mean colour');
  const image = g.input('pixels', 'float32', ['n', 3, 32, 32]);
  g.output('colour', 'float32', ['n', 3, 1, 1], g.node('GlobalAveragePool', [image]));
  writeFileSync(model, g.toModel());
  await client.desk.create({ dir, classes: COMPLAINTS });
  await client.training.settings({ automatic: false });
  await client.imports.start(imports);
  await idle();
  const { items } = await client.items.list({ limit: 14 });
  for (const { id, name } of items) {
    const classes = [notes.truth.get(name)![0]];
    await client.annotations.add({ item: id, act: 'label', classes, durationMs: 9, ...said });
  }
  await client.training.start();
  await idle();
  await client.training.start();
  await idle();
  expect((await client.versions.list()).length).toBeGreaterThan(1);
});
afterAll(() => engine.close());

describe('The table', () => {
  it('has a call for every procedure of the contract', () => {
    expect(TABLE.map(([path]) => path).toSorted()).toEqual(Object.keys(CALLS).toSorted());
    expect(TABLE.filter(([, mutates]) => mutates).length).toBeGreaterThan(20);
  });
});

describe('A procedure that only asks', () => {
  it.each(TABLE.filter(([, mutates]) => !mutates))('leaves no entry: %s', async (path) => {
    const before = await headNow();
    await CALLS[path].call();
    expect(await entriesAfter(before)).toEqual([]);
  });
});

describe('A procedure that changes the project', () => {
  const mutating = TABLE.filter(([path, mutates]) => mutates && path !== 'desk.create');

  it.each(mutating)('changes nothing where its entry cannot be written: %s', async (path) => {
    await CALLS[path].before?.();
    await idle();
    const other = new Database(join(dir, 'project.sqlite'));
    other.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no entries today'); END`);
    const before = decided();
    try {
      await expect(CALLS[path].call()).rejects.toThrow();
      expect(decided()).toBe(before);
    } finally {
      other.exec('DROP TRIGGER refuse');
      other.close();
    }
  });

  it.each(mutating)('leaves exactly one entry, by who called: %s', async (path) => {
    await CALLS[path].before?.();
    await idle();
    const before = await headNow();
    await CALLS[path].call();
    const entries = await entriesAfter(before);
    expect(entries.map(({ call, who }) => [call, who])).toEqual([[path, WHO]]);
    await idle();
    expect(await entriesAfter(before)).toEqual(entries);
  });

  it('leaves its entry in the project that is made: desk.create', async () => {
    await CALLS['desk.create'].call();
    expect((await entriesAfter(0)).map(({ entry, call, who }) => [entry, call, who])).toEqual([
      [1, 'desk.create', WHO],
    ]);
    await client.desk.open({ dir });
    expect(engine.project.verify()).toEqual({ ok: true, problems: [] });
  });
});

it('Without a name, the account of the machine is who called', async () => {
  const nameless = createRouterClient(engine.router, { context: {} });
  const before = await headNow();
  await nameless.choosing.set({ randomShare: 0.04 });
  const [entry] = await entriesAfter(before);
  expect(entry.who).not.toBe('');
  expect(entry.who).not.toBe(WHO);
});
