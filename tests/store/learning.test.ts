/** The queue, model versions, jobs, schema versions and settings. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ItemId } from '../../main/domain/item.ts';
import { openProject, openReader, type ProjectStore, type QueueDraft } from '../../main/store/index.ts';
import { closing, codeOf, fill, newProject, tickingClock } from './projects.ts';

const draft = (item: ItemId, score = 0.5): QueueDraft => ({
  item,
  score,
  strategy: 'margin',
  modelVersion: 2,
  seed: 11,
  why: { code: 'margin', margin: score },
});
const skip = (store: ProjectStore, item: ItemId) =>
  store.annotations.append({ item, act: 'skip', annotator: 'kim', durationMs: 1 });
const nextSeqs = (store: ProjectStore, count = 10) => store.queue.next(count).map(({ seq }) => seq);

describe('the queue', () => {
  it('gives the entries back in the order they were given, with why', () => {
    const store = newProject();
    const ids = fill(store, 4);
    expect(store.queue.replace([draft(ids[2], 0.9), draft(ids[0], 0.95), draft(ids[2])], { keepFirst: 0 })).toBe(2);
    expect(store.queue.next(1)).toEqual([{ ...draft(ids[2], 0.9), seq: 3, rank: 1, repeats: null }]);
    expect(nextSeqs(store)).toEqual([3, 1]);
    expect(store.queue.entryOf(ids[0])).toMatchObject({ rank: 2, score: 0.95 });
    expect(store.queue.entryOf(ids[1])).toBe(null);
    expect(store.queue.remaining()).toBe(2);
  });

  it('lets a decided item go at once and undo bring it back to its place', () => {
    const store = newProject();
    const ids = fill(store, 3);
    store.queue.replace(
      ids.map((id) => draft(id)),
      { keepFirst: 0 },
    );
    skip(store, ids[0]);
    expect(nextSeqs(store)).toEqual([2, 3]);
    expect(store.queue.entryOf(ids[0])?.rank).toBe(1);
    store.annotations.undo({ annotator: 'kim' });
    expect(nextSeqs(store)).toEqual([1, 2, 3]);
  });

  it('never moves the first entries when the rest is replaced', () => {
    const store = newProject();
    const ids = fill(store, 6);
    store.queue.replace(
      ids.slice(0, 4).map((id) => draft(id)),
      { keepFirst: 0 },
    );
    skip(store, ids[0]);
    store.queue.replace(
      [ids[5], ids[2], ids[0], ids[4], ids[3], 'feedfeedfeedfeed' as ItemId].map((id) => draft(id, 0.1)),
      { keepFirst: 2 },
    );
    expect(nextSeqs(store)).toEqual([2, 3, 6, 5, 4]);
    expect(store.queue.next(2).map(({ score }) => score)).toEqual([0.5, 0.5]);
    expect(store.queue.next(9).map(({ rank }) => rank)).toEqual([1, 2, 3, 4, 5]);
  });

  it('refuses a score that is not finite, naming the item, and keeps the queue it had', () => {
    const store = newProject();
    const ids = fill(store, 2);
    store.queue.replace([draft(ids[0])], { keepFirst: 0 });
    expect(codeOf(() => store.queue.replace([draft(ids[1], Number.NaN)], { keepFirst: 0 }))).toBe('score-not-finite');
    expect(nextSeqs(store)).toEqual([1]);
  });
});

describe('model versions', () => {
  it('are numbered, kept whole, and live only by promotion; rolling back twice goes back two', () => {
    const store = newProject();
    const encoder = store.versions.addEncoder({
      kind: 'image',
      blob: store.blobs.put(Buffer.from('encoder')),
      card: { dims: 4 },
    });
    const snapshot = store.versions.addSnapshot({ items: [1, 2] });
    expect(snapshot).toBe(createHash('sha256').update('{"items":[1,2]}').digest('hex'));
    expect(store.versions.addSnapshot({ items: [1, 2] })).toBe(snapshot);
    const { run } = store.versions.addRun({ snapshot, seed: 5, config: { l2: 1 }, outcome: { loss: 0.5 } });
    const blob = store.blobs.put(Buffer.from('model'));
    const numbers = [1, 2, 3].map((n) =>
      store.versions.add({ blob, encoder: encoder.encoder, run, card: { n }, metrics: { accuracy: n / 4 } }),
    );
    expect(numbers).toEqual([1, 2, 3]);
    expect(store.versions.live()).toBe(null);
    const by = { who: 'kim', reason: { code: 'not-worse' } };
    const live = [1, 3, 3, 2].map((version) => {
      store.versions.promote(version, by);
      return store.versions.live()?.version;
    });
    live.push(store.versions.rollback(by).version, store.versions.rollback(by).version);
    expect(live).toEqual([1, 3, 3, 2, 3, 1]);
    expect(codeOf(() => store.versions.rollback(by))).toBe('version-unknown');
    expect(codeOf(() => store.versions.promote(9, by))).toBe('version-unknown');
    expect(store.versions.promotions().map(({ kind, version }) => `${kind} ${version}`)).toEqual([
      'promote 1',
      'promote 3',
      'promote 2',
      'rollback 3',
      'rollback 1',
    ]);
    const reader = closing(openReader(store.dir));
    expect(reader.versions.live()).toMatchObject({
      version: 1,
      card: { n: 1 },
      metrics: { accuracy: 0.25 },
      encoder: 1,
      run: 1,
    });
    expect(reader.versions.encoders()).toEqual([encoder]);
    expect(reader.versions.runs()).toMatchObject([{ run: 1, snapshot, config: { l2: 1 }, outcome: { loss: 0.5 } }]);
    expect(reader.versions.snapshot(snapshot)).toEqual({ items: [1, 2] });
    expect(reader.versions.snapshot('none')).toBe(null);
    expect(store.verify().ok).toBe(true);
  });
});

describe('jobs', () => {
  it('remember how far they are and how they ended', () => {
    const store = newProject();
    const { id } = store.jobs.enqueue('train', { seed: 3 });
    expect(store.jobs.get(id)).toMatchObject({
      id,
      kind: 'train',
      params: { seed: 3 },
      state: 'queued',
      cursor: null,
      startedAt: null,
    });
    store.jobs.start(id);
    store.jobs.progress(id, { stage: 'fitting', done: 1, total: 4 });
    store.jobs.checkpoint(id, { step: 2 }, { done: 2 });
    expect(store.jobs.get(id)).toMatchObject({
      state: 'running',
      stage: 'fitting',
      done: 2,
      total: 4,
      cursor: { step: 2 },
    });
    expect(store.jobs.finish(id, { version: 1 })).toMatchObject({ state: 'done', result: { version: 1 }, error: null });
    const other = store.jobs.enqueue('encode', null).id;
    const error = { code: 'compute-died', message: 'It stopped.', hint: 'Start it again.', context: {} } as const;
    expect(store.jobs.fail(other, error)).toMatchObject({ state: 'failed', error });
    expect(store.jobs.cancel(store.jobs.enqueue('encode', null).id).state).toBe('cancelled');
    expect(store.jobs.list({ states: ['failed', 'done'] }).map((job) => job.id)).toEqual([other, id]);
    expect(store.jobs.get('99')).toBe(null);
    for (const work of [
      () => store.jobs.start('99'),
      () => store.jobs.checkpoint('99', 1),
      () => store.jobs.finish('x'),
    ])
      expect(codeOf(work)).toBe('job-unknown');
  });

  it('that were running when the process ended are listed as interrupted until they are ended', () => {
    const first = newProject();
    const ids = ['import', 'train', 'encode'].map((kind) => first.jobs.start(first.jobs.enqueue(kind, null).id).id);
    first.jobs.finish(ids[1]);
    first.close();
    const store = closing(openProject(first.dir, { clock: tickingClock() }));
    store.jobs.start(store.jobs.enqueue('queue', null).id);
    expect(
      store.jobs
        .interrupted()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(['encode', 'import']);
    store.jobs.cancel(ids[0]);
    expect(store.jobs.interrupted().map(({ kind }) => kind)).toEqual(['encode']);
  });
});

describe('the label schema', () => {
  it('grows by versions; annotations name the one they answered; a class in use must stay', () => {
    const store = newProject();
    const [item] = fill(store, 1);
    store.annotations.append({ item, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 1 });
    expect(store.schema.addClass('  new ')).toEqual({
      version: 2,
      task: 'classify',
      classes: ['round', 'long', 'odd', 'new'],
    });
    expect(
      store.annotations.append({ item, act: 'label', classes: ['new'], annotator: 'kim', durationMs: 1 }).schemaVersion,
    ).toBe(2);
    expect(codeOf(() => store.schema.addClass('odd'))).toBe('schema-invalid');
    expect(codeOf(() => store.schema.change(['round', 'long', 'new']))).toBe('schema-invalid');
    expect(store.schema.change(['new', 'odd', 'long']).classes).toEqual(['new', 'odd', 'long']);
    expect(store.schema.versions().map(({ classes }) => classes.length)).toEqual([3, 4, 3]);
    store.close();
    expect(closing(openProject(store.dir, { clock: tickingClock() })).schema.current().version).toBe(3);
  });

  it('keeps settings as JSON, for readers too', () => {
    const store = newProject();
    store.settings.set('trainAfter', { labels: 10 });
    store.settings.set('trainAfter', { labels: 20 });
    expect(closing(openReader(store.dir)).settings.get('trainAfter')).toEqual({ labels: 20 });
    expect(store.settings.get('unknown')).toBe(undefined);
  });
});
