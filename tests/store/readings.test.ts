/** Second readings: on record, without deciding anything. */
import path from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annotationHash, resolve } from '../../main/domain/annotation.ts';
import type { ItemId } from '../../main/domain/item.ts';
import { openProject, type ProjectStore, type QueueDraft } from '../../main/store/index.ts';
import { closing, codeOf, fill, newProject, tickingClock } from './projects.ts';

const label = (store: ProjectStore, item: ItemId, name: string, more: { annotator?: string; repeats?: number } = {}) =>
  store.annotations.append({ item, act: 'label', classes: [name], annotator: 'kim', durationMs: 12.5, ...more });
const entry = (item: ItemId, repeats: number | null = null): QueueDraft => ({
  item,
  repeats,
  score: 0.5,
  strategy: repeats === null ? 'margin' : 'audit',
  modelVersion: 1,
  seed: 3,
  why: { code: repeats === null ? 'margin' : 'audit', distribution: null },
});
const queued = (store: ProjectStore) => store.queue.next(9).map(({ item }) => item);

describe('a second reading', () => {
  it('leaves the label as it is, whatever the answer, and undo takes back only it', () => {
    const store = newProject();
    const [a] = fill(store, 1);
    label(store, a, 'odd');
    const before = store.counts();
    const second = label(store, a, 'long', { repeats: 1 });
    expect(second.repeats).toBe(1);
    expect(store.items.get(a)).toMatchObject({ state: 'labelled', classes: ['odd'], by: 1 });
    expect(store.counts()).toEqual({ ...before, annotations: 2 });
    for (const act of ['skip', 'flag', 'exclude'] as const) {
      store.annotations.append({ item: a, act, annotator: 'kim', durationMs: 1, repeats: 1 });
      expect(store.items.get(a)?.classes).toEqual(['odd']);
      store.annotations.undo({ annotator: 'kim' });
    }
    expect(store.annotations.undo({ annotator: 'kim' }).retracts).toBe(2);
    expect(store.items.get(a)?.classes).toEqual(['odd']);
    expect(store.readings.pairs()).toEqual([]);
    store.annotations.redo({ annotator: 'kim' });
    expect(store.readings.pairs()).toHaveLength(1);
    store.annotations.undo({ annotator: 'kim' });
    store.annotations.undo({ annotator: 'kim' });
    expect(store.items.get(a)?.state).toBe('open');
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  });

  it('repeats the label in force and nothing else', () => {
    const store = newProject();
    const [a, b] = fill(store, 2);
    label(store, a, 'odd');
    label(store, a, 'long');
    const codes = [
      () => label(store, a, 'odd', { repeats: 1 }),
      () => label(store, b, 'odd', { repeats: 2 }),
      () => label(store, a, 'odd', { repeats: 99 }),
      () =>
        store.annotations.append({ item: a, act: 'comment', text: 'hm', annotator: 'kim', durationMs: 1, repeats: 2 }),
    ].map(codeOf);
    expect(codes).toEqual(Array(4).fill('annotation-invalid'));
    label(store, a, 'odd', { repeats: 2 });
    expect(store.annotations.head().sequence).toBe(3);
  });

  it('is in the chain, and acts without it have the hashes they always had', () => {
    const store = newProject();
    const [a] = fill(store, 1);
    label(store, a, 'odd');
    const second = label(store, a, 'odd', { repeats: 1 });
    const fields = { sequence: 1, item: 'feed' as ItemId, act: 'label' as const, classes: ['odd'], text: null };
    const told = { annotator: 'kim', at: 1000, durationMs: 12.5, suggestion: null, suggestionVisible: false };
    const rest = { retracts: null, repeats: null, schemaVersion: 1, previousHash: '0'.repeat(64) };
    // Python's json and hashlib, over the twelve fields of the first format.
    expect(annotationHash({ ...fields, ...told, ...rest })).toBe(
      'fd4d507281328daf20ce4c91931364e2b844236677f81d499cc6b07f0567a993',
    );
    expect(annotationHash({ ...second, repeats: null })).not.toBe(second.hash);
    store.close();
    const db = new Database(path.join(store.dir, 'project.sqlite'));
    db.exec('DROP TRIGGER annotations_no_update');
    db.exec(
      'UPDATE annotations SET repeats = NULL WHERE sequence = 2; UPDATE annotations SET repeats = 1 WHERE sequence = 1',
    );
    db.close();
    const changed = closing(openProject(store.dir, { clock: tickingClock() }));
    const problems = changed.verify().problems.map(({ code, where }) => `${code} ${where}`);
    expect(problems).toContain('annotation-changed annotation 1');
    expect(problems).toContain('annotation-changed annotation 2');
  });

  it('teaches nothing, so that it brings no training nearer', () => {
    const store = newProject();
    const [a] = fill(store, 1);
    label(store, a, 'odd');
    label(store, a, 'long', { repeats: 1 });
    expect(store.annotations.labelsAfter(0)).toBe(1);
  });

  it('is passed over when a label is derived, also where it is the latest', () => {
    const acts = [
      { sequence: 1, act: 'label' as const, classes: ['odd'], retracts: null, repeats: null },
      { sequence: 2, act: 'label' as const, classes: ['long'], retracts: null, repeats: 1 },
    ];
    expect(resolve(acts)).toEqual({ state: 'labelled', classes: ['odd'], by: 1 });
    expect(resolve(acts.slice(1))).toEqual({ state: 'open', classes: null, by: null });
  });
});

describe('in the queue, a second reading', () => {
  it('is asked like an audit item until it is read, and again after undo', () => {
    const store = newProject();
    const [a, b, c] = fill(store, 3);
    label(store, a, 'odd');
    expect(store.queue.replace([entry(a, 1), entry(b), entry(c)], { keepFirst: 0 })).toBe(3);
    const [first] = store.queue.next(1);
    expect(first).toMatchObject({ item: a, strategy: 'audit', repeats: 1, why: { code: 'audit', distribution: null } });
    expect(Object.keys(first.why)).toEqual(['code', 'distribution']);
    expect(store.queue.isSecondReading(a)).toBe(true);
    label(store, a, 'long', { repeats: 1 });
    expect(queued(store)).toEqual([b, c]);
    expect(store.queue.isSecondReading(a)).toBe(false);
    store.annotations.undo({ annotator: 'kim' });
    expect(queued(store)).toEqual([a, b, c]);
    store.annotations.redo({ annotator: 'kim' });
    expect(queued(store)).toEqual([b, c]);
  });

  it('leaves when the label it repeats is no longer in force, and keeps its place when the rest is chosen anew', () => {
    const store = newProject();
    const [a, b, c] = fill(store, 3);
    label(store, a, 'odd');
    store.queue.replace([entry(a, 1), entry(b)], { keepFirst: 0 });
    store.queue.replace([entry(c)], { keepFirst: 2 });
    expect(queued(store)).toEqual([a, b, c]);
    expect(store.queue.next(1)[0].repeats).toBe(1);
    label(store, a, 'long');
    expect(queued(store)).toEqual([b, c]);
    store.annotations.undo({ annotator: 'kim' });
    expect(queued(store)).toEqual([a, b, c]);
    store.annotations.undo({ annotator: 'kim' });
    // The item is undecided now: it is asked for its own sake.
    expect(queued(store)).toEqual([a, b, c]);
    expect(store.queue.replace([entry(a, 1)], { keepFirst: 0 })).toBe(0);
  });

  it('is left out where it is no label in force, and a labelled item is left out otherwise', () => {
    const store = newProject();
    const [a, b] = fill(store, 2);
    label(store, a, 'odd');
    label(store, a, 'long');
    store.queue.replace([entry(a), entry(a, 1), entry(b, 7), entry(b)], { keepFirst: 0 });
    expect(queued(store)).toEqual([b]);
  });
});

describe('what may be read again', () => {
  it('is a label in force that this annotator has not read a second time', () => {
    const store = newProject();
    const [a, b] = fill(store, 2);
    label(store, a, 'odd');
    label(store, b, 'long', { annotator: 'lee' });
    expect(store.readings.repeatable(1, 'kim')).toMatchObject({ sequence: 1, item: a, annotator: 'kim' });
    expect(store.readings.repeatable(2, 'kim')?.annotator).toBe('lee');
    label(store, b, 'long', { annotator: 'kim', repeats: 2 });
    expect(store.readings.repeatable(2, 'kim')).toBeNull();
    expect(store.readings.repeatable(2, 'lee')?.item).toBe(b);
    expect(store.readings.repeatable(3, 'kim')).toBeNull();
    store.annotations.undo({ annotator: 'kim' });
    expect(store.readings.repeatable(2, 'kim')?.item).toBe(b);
  });

  it('lies as many labels of one’s own back as asked', () => {
    const store = newProject();
    const items = fill(store, 6);
    items.forEach((item, i) => label(store, item, 'odd', { annotator: i % 2 === 0 ? 'kim' : 'lee' }));
    expect(store.readings.labelBefore('kim', 0)).toBe(5);
    expect(store.readings.labelBefore('kim', 2)).toBe(1);
    expect(store.readings.labelBefore('kim', 3)).toBeNull();
    expect(store.readings.annotators()).toEqual([
      { annotator: 'kim', labels: 3 },
      { annotator: 'lee', labels: 3 },
    ]);
    expect(store.readings.timed('kim', 2).map(({ durationMs }) => durationMs)).toEqual([12.5, 12.5]);
  });

  it('tells labels that somebody looked at again from those read a second time unseen', () => {
    const store = newProject();
    const [a, b] = fill(store, 2);
    for (const item of [a, b]) label(store, item, 'odd');
    label(store, a, 'long', { repeats: 1 });
    label(store, b, 'odd');
    expect([a, b].map((item) => store.readings.isReconsidered(item))).toEqual([false, true]);
    expect(store.readings.pairs().map(({ inForce }) => inForce)).toEqual([true]);
    label(store, a, 'odd');
    expect(store.readings.pairs().map(({ inForce }) => inForce)).toEqual([false]);
    expect(store.readings.isReconsidered(a)).toBe(true);
  });
});

it('keeps label, queue and chain in step, whatever is done in whatever order', () => {
  const act = fc.record({
    what: fc.constantFrom('label', 'read', 'read', 'skip', 'undo', 'redo', 'queue'),
    item: fc.nat(2),
    name: fc.constantFrom('odd', 'long'),
    annotator: fc.constantFrom('kim', 'lee'),
  });
  fc.assert(
    fc.property(fc.array(act, { minLength: 4, maxLength: 24 }), (acts) => {
      const store = newProject();
      const items = fill(store, 3);
      for (const { what, item: i, name, annotator } of acts) {
        const item = items[i];
        const before = store.items.get(item)!;
        const inForce = store.readings.labelOf(item);
        if (what === 'label') label(store, item, name, { annotator });
        else if (what === 'read' && inForce !== null) {
          label(store, item, name, { annotator, repeats: inForce });
          expect(store.items.get(item)).toEqual(before);
          expect(store.queue.isSecondReading(item)).toBe(false);
        } else if (what === 'skip') store.annotations.append({ item, act: 'skip', annotator, durationMs: 1 });
        else if (what === 'undo' && store.annotations.undoable(annotator)) store.annotations.undo({ annotator });
        else if (what === 'redo' && store.annotations.redoable(annotator)) store.annotations.redo({ annotator });
        else if (what === 'queue')
          store.queue.replace(
            items.map((id) => entry(id, store.readings.labelOf(id))),
            { keepFirst: 1 },
          );
      }
      for (const { item, repeats } of store.queue.next(9)) {
        const { state, by } = store.items.get(item)!;
        expect(state === 'open' || (state === 'labelled' && by === repeats)).toBe(true);
      }
      expect(store.verify()).toEqual({ ok: true, problems: [] });
      store.close();
    }),
    { numRuns: 25, endOnFailure: true },
  );
});
