/** Candidates becoming items: sameness, components, roles, labels, and where an import goes on. */
import { describe, expect, it } from 'vitest';
import { itemIdOf, type Candidate, type ImagePart, type ItemId } from '../../main/domain/item.ts';
import { ITEM_STATES, openProject, ROLES, type ImportBatch, type ProjectStore } from '../../main/store/index.ts';
import { candidate, closing, codeOf, fill, fingerprint, newProject, textPart, tickingClock } from './projects.ts';

function add(store: ProjectStore, candidates: Candidate[], batch: Partial<ImportBatch> = {}) {
  const job = store.jobs.enqueue('import', {}).id;
  return store.items.addCandidates(candidates, { job, cursor: null, ...batch });
}

/** A key that the seed draws into the wanted role; found by asking a project. */
function keyOf(role: 'pool' | 'audit', nth = 0): string {
  const store = newProject({ auditShare: 0.5 });
  add(
    store,
    Array.from({ length: 60 }, (_, i) => candidate(`probe ${i}`, { group: `g${i}` })),
  );
  const items = store.items.list().filter((item) => item.role === role);
  store.close();
  return items[nth].group ?? '';
}

describe('adding', () => {
  it('keeps every part of an item as it was read', () => {
    const store = newProject();
    const image: ImagePart = {
      kind: 'image',
      path: '/data/a.png',
      sha256: 'a'.repeat(64),
      sizeBytes: 9,
      width: 3,
      height: 2,
      format: 'png',
    };
    const parts = [
      image,
      textPart('report\u0000 长'),
      { kind: 'numbers' as const, values: { age: 61, sex: 'f', bmi: null } },
    ];
    const id = itemIdOf(parts, null);
    add(store, [{ ...candidate('x'), id, parts, group: 'p1', name: 'case 1' }]);
    expect(store.items.get(id)).toMatchObject({
      seq: 1,
      id,
      name: 'case 1',
      group: 'p1',
      parts,
      state: 'open',
      cluster: 1,
      component: 1,
    });
    expect(store.items.partsOf([1, 99])).toEqual([parts, []]);
    expect(store.items.partKinds()).toEqual({ image: 1, text: 1, numbers: 1 });
    expect(store.items.get('0000000000000000' as ItemId)).toBe(null);
  });

  it('counts the same bytes as duplicates, whatever they are called', () => {
    const store = newProject();
    expect(add(store, [candidate('a'), candidate('b'), candidate('a', { name: 'again' })])).toEqual({
      added: 2,
      duplicates: 1,
      oracle: 0,
      problems: [],
    });
    expect(add(store, [candidate('b')])).toMatchObject({ added: 0, duplicates: 1 });
    expect(store.items.list().map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('adds nothing of a batch whose job is unknown', () => {
    const store = newProject();
    expect(codeOf(() => store.items.addCandidates([candidate('a')], { job: '77', cursor: 1 }))).toBe('job-unknown');
    expect(store.counts().items).toBe(0);
    expect(store.verify().ok).toBe(true);
  });

  it('keeps the cursor, running totals and problems with the job', () => {
    const store = newProject();
    const job = store.jobs.start(store.jobs.enqueue('import', { source: 'list.csv' }).id).id;
    const problem = {
      source: 'list.csv:3',
      code: 'row-empty',
      message: 'The row is empty.',
      hint: 'Fill it in.',
    } as const;
    store.items.addCandidates([candidate('a')], { job, cursor: { row: 1 }, progress: { done: 1, total: 3 } });
    store.items.addCandidates([candidate('a'), candidate('b')], {
      job,
      cursor: { row: 3 },
      problems: [problem],
      progress: { done: 3, total: 3 },
    });
    const dir = store.dir;
    store.close();
    const again = closing(openProject(dir, { clock: tickingClock() }));
    expect(again.jobs.interrupted()).toMatchObject([
      {
        id: job,
        state: 'running',
        cursor: { row: 3 },
        done: 3,
        total: 3,
        result: { added: 2, duplicates: 1, oracle: 0, problems: 1 },
      },
    ]);
    expect(again.jobs.problems({ job })).toEqual([{ job, ...problem }]);
    expect(again.counts().problems).toBe(1);
  });
});

describe('components and roles', () => {
  it('never puts a group on both sides, and draws about the share that was asked for', () => {
    const store = newProject({ auditShare: 0.3 });
    add(
      store,
      Array.from({ length: 3000 }, (_, i) => candidate(`t${i}`, { group: `patient ${i >> 1}` })),
    );
    const { role, component, count } = store.items.poolRows();
    const sides = new Map<number, Set<number>>();
    for (let i = 0; i < count; i++) sides.set(component[i], (sides.get(component[i]) ?? new Set()).add(role[i]));
    expect(sides.size).toBe(1500);
    expect([...sides.values()].every((side) => side.size === 1)).toBe(true);
    const audit = role.reduce((sum, r) => sum + r, 0);
    expect(ROLES[1]).toBe('audit');
    expect(store.counts().audit.items).toBe(audit);
    // Four standard deviations of a binomial of 1,500 around 0.3.
    expect(Math.abs(audit / count - 0.3)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / 1500));
  });

  it('gives the same roles whatever the order and the batches', () => {
    const candidates = Array.from({ length: 200 }, (_, i) =>
      candidate(`t${i}`, { group: i % 3 ? `g${i % 40}` : null }),
    );
    const roles = (order: Candidate[], size: number) => {
      const store = newProject();
      for (let at = 0; at < order.length; at += size) add(store, order.slice(at, at + size));
      return new Map(store.items.list({ limit: 500 }).map(({ id, role }) => [id, role]));
    };
    const one = roles(candidates, 200);
    expect(roles(candidates.toReversed(), 7)).toEqual(one);
  });

  it('joins near duplicates into one cluster and one component, and only those that are near', () => {
    const store = newProject();
    const asked: string[] = [];
    const isNearDuplicate: ImportBatch['isNearDuplicate'] = (a, b) => {
      asked.push(`${a.code} ${b.code}`);
      return a.code === b.code;
    };
    const near = { ...fingerprint(1, 2), code: '00ff' };
    add(
      store,
      [
        candidate('a', { fingerprint: near }),
        candidate('b', { fingerprint: { ...near, bands: [9, 2] } }),
        candidate('c', { fingerprint: { ...near, bands: [1, 3], code: 'ffff' } }),
        candidate('d', { fingerprint: { ...near, bands: [2, 1] } }),
        candidate('e', { fingerprint: { ...near, kind: 'image' } }),
      ],
      { isNearDuplicate },
    );
    expect([...store.items.poolRows().cluster]).toEqual([1, 1, 3, 4, 5]);
    expect([...store.items.poolRows().component]).toEqual([1, 1, 3, 4, 5]);
    expect(asked).toEqual(['00ff 00ff', 'ffff 00ff']);
  });

  it('joins components that a new item connects; where their roles differ, all become pool and the counts follow', () => {
    const store = newProject({ auditShare: 0.5 });
    const [audit, pool] = [keyOf('audit'), keyOf('pool')];
    const isNearDuplicate = () => true;
    add(
      store,
      [
        candidate('a', { group: audit, fingerprint: fingerprint(1) }),
        candidate('b', { group: audit }),
        candidate('c', { group: pool }),
      ],
      { isNearDuplicate },
    );
    const [a, b, c] = store.items.list();
    expect([a.role, b.role, c.role]).toEqual(['audit', 'audit', 'pool']);
    store.annotations.append({ item: a.id, act: 'label', classes: ['odd'], annotator: 'kim', durationMs: 1 });
    expect(store.counts().audit).toMatchObject({ items: 2, labelled: 1, classes: { odd: 1 } });
    add(store, [candidate('d', { group: pool, fingerprint: fingerprint(1) })], { isNearDuplicate });
    expect(store.items.list().map(({ role, component }) => [role, component])).toEqual(
      Array.from({ length: 4 }, () => ['pool', 1]),
    );
    expect(store.counts().audit).toMatchObject({ items: 0, labelled: 0, classes: {} });
    expect(store.counts().pool).toMatchObject({ items: 4, open: 3, labelled: 1, classes: { odd: 1 } });
    add(store, [candidate('e', { group: audit })]);
    expect(store.items.list().at(-1)).toMatchObject({ role: 'pool', component: 1 });
    expect(store.verify()).toEqual({ ok: true, problems: [] });
  });

  it('learns a group from a duplicate, and joins the groups that one item belongs to', () => {
    const store = newProject();
    add(store, [candidate('a'), candidate('b', { group: 'g1' }), candidate('c', { group: 'g2' })]);
    add(store, [candidate('a', { group: 'g1' })]);
    expect(store.items.list().map(({ group, component }) => [group, component])).toEqual([
      ['g1', 1],
      ['g1', 1],
      ['g2', 3],
    ]);
    add(store, [candidate('a', { group: 'g2' })]);
    expect([...store.items.poolRows().component]).toEqual([1, 1, 1]);
    add(store, [candidate('d', { group: 'g2' })]);
    expect(store.items.list().at(-1)?.component).toBe(1);
    expect(store.verify().ok).toBe(true);
  });
});

describe('labels that come along', () => {
  it('become annotations by “import” when given, and keep out of everything but the oracle when not', () => {
    const store = newProject();
    const labelled = (names: string[][]) => names.map((label, i) => candidate(`t${i}`, { label }));
    expect(add(store, labelled([['odd'], ['long']]), { labels: 'oracle' })).toMatchObject({ oracle: 2 });
    expect(store.counts()).toMatchObject({ oracle: 2, annotations: 0, pool: { labelled: 0 } });
    expect(store.items.list().map(({ state, classes }) => [state, classes])).toEqual([
      ['open', null],
      ['open', null],
    ]);
    expect(store.items.oracleOf()).toEqual(
      new Map([
        [1, ['odd']],
        [2, ['long']],
      ]),
    );
    add(store, labelled([['odd'], ['long'], ['round']]), { labels: 'given' });
    expect(store.annotations.latest().map(({ annotator, classes }) => [annotator, classes])).toEqual([
      ['import', ['round']],
      ['import', ['long']],
      ['import', ['odd']],
    ]);
    add(store, labelled([['odd'], ['long'], ['round'], ['odd']]));
    expect(store.counts()).toMatchObject({ items: 4, annotations: 3, oracle: 2 });
  });

  it('are listed as problems when unknown or when they contradict, and the item stays', () => {
    const store = newProject();
    const first = add(store, [candidate('a', { label: ['even'] }), candidate('b', { label: ['odd'] })], {
      labels: 'given',
    });
    expect(first).toMatchObject({ added: 2, problems: [{ code: 'class-unknown', source: 'list.csv:a' }] });
    const second = add(store, [candidate('b', { label: ['odd'] }), candidate('b', { label: ['long'] })], {
      labels: 'given',
    });
    expect(second.problems.map(({ code }) => code)).toEqual(['id-conflict']);
    const [a, b] = store.items.list();
    expect([a.state, b.classes]).toEqual(['open', ['odd']]);
    store.annotations.append({ item: a.id, act: 'label', classes: ['round'], annotator: 'kim', durationMs: 1 });
    expect(add(store, [candidate('a', { label: ['long'] })], { labels: 'given' }).problems).toHaveLength(1);
    expect(store.items.get(a.id)?.classes).toEqual(['round']);
    expect(
      add(store, [candidate('a', { label: ['long'] }), candidate('a', { label: ['odd'] })], {
        labels: 'oracle',
      }).problems.map(({ code }) => code),
    ).toEqual(['id-conflict']);
    expect(store.jobs.problems()).toHaveLength(4);
    expect(store.verify().ok).toBe(true);
  });
});

describe('listing', () => {
  it('pages, filters by state and finds words in names, groups and texts', () => {
    const store = newProject();
    const ids = fill(store, 5);
    add(store, [candidate('100% sure', { name: 'x', group: 'ward_7' })]);
    store.annotations.append({ item: ids[1], act: 'skip', annotator: 'kim', durationMs: 1 });
    const seqs = (options: Parameters<typeof store.items.list>[0]) => store.items.list(options).map(({ seq }) => seq);
    expect(seqs({ after: 2, limit: 2 })).toEqual([3, 4]);
    expect(seqs({ state: 'skipped' })).toEqual([2]);
    expect(seqs({ state: 'open' })).toEqual([1, 3, 4, 5, 6]);
    expect(seqs({ search: '0% s' })).toEqual([6]);
    expect(seqs({ search: 'ward_' })).toEqual([6]);
    expect(seqs({ search: 'text', state: 'open', after: 3 })).toEqual([4, 5]);
    expect(ITEM_STATES[store.items.poolRows().state[1]]).toBe('skipped');
  });
});
