/** Recording, taking back and reading annotations. */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ItemId } from '../../main/domain/item.ts';
import { openProject, type ProjectStore } from '../../main/store/index.ts';
import { closing, codeOf, fill, newProject, tickingClock } from './projects.ts';

const label = (store: ProjectStore, item: ItemId, name: string, annotator = 'kim') =>
  store.annotations.append({ item, act: 'label', classes: [name], annotator, durationMs: 12.5 });
const stateOf = (store: ProjectStore, item: ItemId) => {
  const { state, classes } = store.items.get(item) ?? {};
  return classes ? classes.join('+') : state;
};

describe('appending', () => {
  it('records every field, in order, and derives the item’s label from it', () => {
    const store = newProject();
    const [item] = fill(store, 2);
    const suggestion = { modelVersion: 3, classes: ['odd'], probability: 0.625 };
    const draft = {
      item,
      act: 'label',
      classes: [' long '],
      text: 'sure',
      annotator: 'Kim',
      durationMs: 812.5,
      suggestion,
      suggestionVisible: true,
    } as const;
    const a = store.annotations.append({ ...draft, classes: [...draft.classes] });
    expect(a).toMatchObject({ ...draft, classes: ['long'], sequence: 1, schemaVersion: 1, retracts: null });
    expect(store.annotations.get(1)).toEqual(a);
    expect(store.annotations.ofItem(item)).toEqual([a]);
    expect([...store.annotations.all()]).toEqual([a]);
    expect(store.items.get(item)).toMatchObject({ state: 'labelled', classes: ['long'], by: 1 });
    expect(store.counts().annotations).toBe(1);
  });

  it('lets each act lead to its state, the latest winning and comments deciding nothing', () => {
    const store = newProject();
    const [item] = fill(store, 1);
    const act = (name: 'skip' | 'flag' | 'exclude' | 'comment') =>
      store.annotations.append({ item, act: name, text: 'blurred', annotator: 'kim', durationMs: 1 });
    const seen = (['skip', 'flag', 'exclude', 'comment'] as const).map((name) => {
      act(name);
      return stateOf(store, item);
    });
    expect(seen).toEqual(['skipped', 'flagged', 'excluded', 'excluded']);
    label(store, item, 'odd');
    expect(stateOf(store, item)).toBe('odd');
    expect(store.verify().ok).toBe(true);
  });

  it('refuses what does not answer the question, and records nothing of it', () => {
    const store = newProject();
    const [item] = fill(store, 1);
    const base = { item, act: 'label' as const, classes: ['odd'], annotator: 'kim', durationMs: 1 };
    const codes = [
      { ...base, classes: ['even'] },
      { ...base, classes: [] },
      { ...base, classes: ['odd', 'long'] },
      { ...base, item: 'feedfeedfeedfeed' as ItemId },
      { ...base, annotator: ' ' },
      { ...base, durationMs: Number.NaN },
      { ...base, act: 'skip' as const },
      { ...base, act: 'comment' as const, classes: undefined, text: ' ' },
      { ...base, act: 'retract' as const, classes: undefined },
      { ...base, act: 'retract' as const, classes: undefined, retracts: 99 },
      { ...base, suggestion: { modelVersion: 1, classes: ['odd'], probability: 1.5 } },
    ].map((draft) => codeOf(() => store.annotations.append(draft)));
    expect(codes).toEqual([
      'class-unknown',
      'annotation-invalid',
      'annotation-invalid',
      'item-unknown',
      'annotation-invalid',
      'annotation-invalid',
      'annotation-invalid',
      'annotation-invalid',
      'annotation-invalid',
      'annotation-invalid',
      'annotation-invalid',
    ]);
    expect(store.annotations.head().sequence).toBe(0);
    expect(store.verify().ok).toBe(true);
  });

  it('takes any number of classes where the task asks for many, in the schema’s order', () => {
    const store = newProject({ task: 'classify-many' });
    const [a, b] = fill(store, 2);
    expect(
      store.annotations.append({ item: a, act: 'label', classes: ['odd', 'round'], annotator: 'kim', durationMs: 1 })
        .classes,
    ).toEqual(['round', 'odd']);
    expect(
      store.annotations.append({ item: b, act: 'label', classes: [], annotator: 'kim', durationMs: 1 }).classes,
    ).toEqual([]);
    expect(store.items.get(b)).toMatchObject({ state: 'labelled', classes: [] });
    expect(store.verify().ok).toBe(true);
  });

  it('says what the clock said and keeps its own order, whatever the clock does', () => {
    const times = [5000, 4000, -1e9, 5000.7, 6000];
    let i = 0;
    const store = newProject({ clock: () => times[Math.min(i, 4)] });
    const [item] = fill(store, 1);
    const at = times.map((_, n) => {
      i = n;
      return label(store, item, 'odd').at;
    });
    expect(at).toEqual([5000, 4000, -1000000000, 5000, 6000]);
    expect([...store.annotations.all()].map((act) => act.at)).toEqual(at);
  });

  it('is refused by the file itself when a row would be changed, removed, replaced or put in between', () => {
    const store = newProject();
    const [item] = fill(store, 1);
    label(store, item, 'odd');
    label(store, item, 'long');
    store.versions.promote(
      store.versions.add({ blob: store.blobs.put(Buffer.from('m')), encoder: null, run: null, card: {}, metrics: {} }),
      { who: 'auto', reason: {} },
    );
    const db = new Database(path.join(store.dir, 'project.sqlite'));
    const tries = [
      `UPDATE annotations SET annotator = 'lee'`,
      'DELETE FROM annotations WHERE sequence = 2',
      'INSERT OR REPLACE INTO annotations SELECT * FROM annotations WHERE sequence = 1',
      `INSERT INTO annotations SELECT 9, item, act, classes, text, retracts, annotator, at, duration_ms, suggestion, suggestion_visible, schema_version, previous_hash, hash, repeats FROM annotations WHERE sequence = 1`,
      'UPDATE schema_versions SET version = 2',
      'DELETE FROM versions',
      'DELETE FROM promotions',
    ];
    for (const sql of tries) expect(() => db.exec(sql)).toThrow('is append-only');
    db.close();
    expect(store.verify().ok).toBe(true);
  });
});

describe('undo and redo', () => {
  it('goes back to the beginning and forward again, also after a restart', () => {
    const first = newProject();
    const [a, b] = fill(first, 2);
    for (const [item, name] of [
      [a, 'odd'],
      [b, 'long'],
      [a, 'round'],
    ] as const)
      label(first, item, name);
    const seen = [];
    for (let i = 0; i < 2; i++) {
      first.annotations.undo({ annotator: 'kim' });
      seen.push([stateOf(first, a), stateOf(first, b)]);
    }
    first.close();
    const store = closing(openProject(first.dir, { clock: tickingClock(9000) }));
    store.annotations.undo({ annotator: 'kim' });
    seen.push([stateOf(store, a), stateOf(store, b)]);
    expect(codeOf(() => store.annotations.undo({ annotator: 'kim' }))).toBe('nothing-to-undo');
    for (let i = 0; i < 3; i++) {
      store.annotations.redo({ annotator: 'kim' });
      seen.push([stateOf(store, a), stateOf(store, b)]);
    }
    expect(codeOf(() => store.annotations.redo({ annotator: 'kim' }))).toBe('nothing-to-redo');
    expect(seen).toEqual([
      ['odd', 'long'],
      ['odd', 'open'],
      ['open', 'open'],
      ['odd', 'open'],
      ['odd', 'long'],
      ['round', 'long'],
    ]);
    expect(store.annotations.head().sequence).toBe(9);
    expect(store.verify().ok).toBe(true);
  });

  it('forgets what could be redone when a new decision is made', () => {
    const store = newProject();
    const [a] = fill(store, 1);
    label(store, a, 'odd');
    store.annotations.undo({ annotator: 'kim' });
    expect(store.annotations.redoable('kim')).toMatchObject({ sequence: 1 });
    label(store, a, 'long');
    expect(store.annotations.redoable('kim')).toBe(null);
    expect(codeOf(() => store.annotations.redo({ annotator: 'kim' }))).toBe('nothing-to-redo');
  });

  it('leaves other annotators’ acts alone', () => {
    const store = newProject();
    const [a] = fill(store, 1);
    label(store, a, 'odd', 'kim');
    label(store, a, 'long', 'lee');
    store.annotations.undo({ annotator: 'kim' });
    expect(stateOf(store, a)).toBe('long');
    expect(codeOf(() => store.annotations.undo({ annotator: 'kim' }))).toBe('nothing-to-undo');
  });

  it('agrees with a plain stack over any sequence of acts, undos and redos', () => {
    const step = fc.oneof(
      fc.record({ item: fc.integer({ min: 0, max: 2 }), name: fc.constantFrom('round', 'long', 'odd', 'skip') }),
      fc.constantFrom('undo' as const, 'redo' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const store = newProject();
        const ids = fill(store, 3);
        const done: { item: number; name: string }[] = [];
        const undone: { item: number; name: string }[] = [];
        for (const s of steps) {
          if (s === 'undo' || s === 'redo') {
            const [from, to] = s === 'undo' ? [done, undone] : [undone, done];
            const moved = from.pop();
            if (moved) to.push(moved);
            const code = codeOf(() => store.annotations[s]({ annotator: 'kim' }));
            expect(code).toBe(moved ? 'nothing thrown' : `nothing-to-${s}`);
          } else {
            done.push(s);
            undone.length = 0;
            if (s.name === 'skip')
              store.annotations.append({ item: ids[s.item], act: 'skip', annotator: 'kim', durationMs: 1 });
            else label(store, ids[s.item], s.name);
          }
        }
        ids.forEach((id, i) => {
          const last = done.findLast((s) => s.item === i)?.name ?? 'open';
          expect(stateOf(store, id)).toBe(last === 'skip' ? 'skipped' : last);
        });
        expect(store.verify()).toEqual({ ok: true, problems: [] });
        store.close();
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });
});

describe('reading back', () => {
  it('lists the latest first, page by page, and tells the pace of today without imports', () => {
    const store = newProject();
    const ids = fill(store, 5);
    ids.forEach((item, i) =>
      store.annotations.append({
        item,
        act: 'label',
        classes: ['odd'],
        annotator: i === 4 ? 'import' : 'kim',
        durationMs: [10, 30, 20, 90, 0][i],
      }),
    );
    expect(store.annotations.latest({ limit: 2 }).map((a) => a.sequence)).toEqual([5, 4]);
    expect(store.annotations.latest({ before: 4, limit: 2 }).map((a) => a.sequence)).toEqual([3, 2]);
    expect(store.annotations.pace(0)).toEqual({ labels: 4, medianMs: 25 });
    store.annotations.undo({ annotator: 'kim' });
    expect(store.annotations.pace(0)).toEqual({ labels: 3, medianMs: 20 });
    expect(store.annotations.pace(1e9)).toEqual({ labels: 0, medianMs: null });
  });
});
