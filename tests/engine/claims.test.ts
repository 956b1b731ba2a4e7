import { beforeAll, describe, expect, it } from 'vitest';
import { auditWeights, baseAudit } from '../../main/audit-sample.ts';
import { AUDIT, LABELLED, rowsIn } from '../../main/embedded-items.ts';
import { Learner } from '../../main/learner.ts';
import type { Project } from '../../main/project.ts';
import {
  closed,
  COMPLAINTS,
  done,
  imported,
  label,
  labelNext,
  newProject,
  reading,
  reopened,
  truthOf,
  writeNotes,
  type Notes,
} from './small-projects.ts';

const LEVELS = { alpha: 0.3, delta: 0.2 };

describe('a claim', () => {
  let project: Project;
  let notes: Notes;

  beforeAll(async () => {
    notes = writeNotes(220);
    project = await newProject({ classes: COMPLAINTS, auditShare: 0.4 });
    await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id', label: 'classes' } });
    project.evidence.claims.setLevels(LEVELS);
  });

  const wrongOf = (name: string) => [COMPLAINTS.find((complaint) => complaint !== truthOf(notes.truth, name)[0])!];

  it('is not made before its look is due, whatever a preview says', async () => {
    await labelNext(project, notes.truth, 30);
    done(await project.train().finished);
    expect(project.evidence.claims.claim()).toBeNull();
    expect(project.status()).toMatchObject({ settled: 0, guarantee: null });
    const preview = await project.evidence.guarantee(LEVELS.alpha, LEVELS.delta);
    expect(preview.auditSize).toBeGreaterThan(5);
    expect(preview.auditSize).toBeLessThan(25);
  });

  it('is made at its look, spends half of δ and names items by their suggestion', async () => {
    // Each note is a component of its own; 25 audit items are the first look at these levels.
    while (project.evidence.claims.claim() === null) {
      await labelNext(project, notes.truth, 10);
      done(await project.train().finished);
    }
    const claim = project.evidence.claims.claim()!;
    expect(claim).toMatchObject({ ...LEVELS, look: 1, spent: 0.1, withdrawn: false });
    expect(claim.auditSize).toBeGreaterThanOrEqual(25);
    expect(claim.nextLookAt).toBe(Math.ceil(1.5 * claim.auditSize));
    expect(claim.modelVersion).toBeLessThanOrEqual(project.status().modelVersion!);
    expect(claim.open).toBe(claim.settled);
    expect(project.status()).toMatchObject({ settled: claim.settled, guarantee: { threshold: claim.threshold } });
    // Its promise is kept here: the notes say what they are.
    const { classes, items } = await project.predict();
    const settled = new Set(settledIds());
    const wrong = items.filter(
      ({ item, probabilities }) =>
        settled.has(item) &&
        classes[probabilities.indexOf(Math.max(...probabilities))] !== truthOf(notes.truth, project.item(item).name)[0],
    );
    expect(settled.size).toBe(claim.settled);
    expect(wrong.length).toBeLessThanOrEqual(LEVELS.alpha * settled.size);
  });

  function settledIds() {
    return reading(project, (reader) => {
      const { settled } = reader.reports.claims().at(-1)!;
      const { items } = JSON.parse(reader.blobs.read(settled!).toString()) as { items: number[] };
      return reader.items.idsOf(items);
    });
  }

  it('keeps its items out of the queue', async () => {
    const settled = new Set(settledIds());
    done(await project.train().finished);
    // The first may be on screen.
    const [, ...asked] = await project.queue(20);
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter(({ item }) => settled.has(item))).toEqual([]);
  });

  it('is previewed at other levels, per class and for many α at once', async () => {
    const preview = await project.evidence.guarantee(0.3, 0.2);
    expect(preview.perClass.map((own) => [own.class, own.allAtOnce])).toEqual(
      COMPLAINTS.flatMap((name) => [
        [name, false],
        [name, true],
      ]),
    );
    const perClass = preview.perClass.filter((own) => !own.allAtOnce);
    expect(perClass.reduce((sum, own) => sum + own.auditSize, 0)).toBe(preview.auditSize);
    const many = await project.evidence.settledAt(0.2);
    expect(many).toHaveLength(25);
    expect(many.find(({ alpha }) => alpha === 0.3)).toMatchObject({ settled: preview.settled });
    // Too few audit items for half a percent: it says how many are missing.
    expect(many[0]).toMatchObject({ alpha: 0.005, threshold: null, needed: 322 - preview.auditSize });
  });

  it('is there after a restart, with what is settled', async () => {
    const before = { claim: project.evidence.claims.claim(), settled: project.status().settled };
    await closed(project);
    project = await reopened(project.dir, { resume: false });
    expect({ claim: project.evidence.claims.claim(), settled: project.status().settled }).toEqual(before);
  });

  it('is checked by items drawn by chance, which are asked for first and blind', async () => {
    const settled = new Set(settledIds());
    const { drawn } = project.evidence.claims.spotCheck(8);
    expect(drawn).toBe(8);
    const head = await project.queue(8);
    for (const entry of head) {
      expect(entry).toMatchObject({ strategy: 'spot-check', blind: true, probabilities: null, suggestion: null });
      expect(settled.has(entry.item)).toBe(true);
    }
    expect(project.evidence.claims.spotChecks()).toMatchObject({ n: 0, waiting: 8, wrong: 0, errors: { value: null } });
    label(project, head[0].item, truthOf(notes.truth, head[0].view.name));
    expect(project.evidence.claims.spotChecks()).toMatchObject({ n: 1, waiting: 7 });
    // They keep the head of the queue when it is chosen anew, and after a restart.
    done(await project.train().finished);
    expect((await project.queue(7)).map(({ strategy }) => strategy)).toEqual(new Array(7).fill('spot-check'));
    expect(reading(project, (reader) => reader.reports.auditDraws().map(({ probability }) => probability))).toEqual(
      new Array(8).fill(8 / settled.size),
    );
    expect(project.verify()).toEqual({ ok: true, problems: [] });
  });

  it('weighs audit items by how they could come into the set, in the metrics', async () => {
    const learner = new Learner(project.dir);
    const { reader } = learner.parts;
    const items = await learner.parts.items();
    const auditing = rowsIn(items, AUDIT, LABELLED);
    const weights = auditWeights(reader, items, auditing)!;
    const { settled: blob } = reader.reports.claims()[0];
    const claimed = JSON.parse(reader.blobs.read(blob!).toString()) as { items: number[]; audit: number[] };
    // By hand: one of S settled items was looked at, the base is n of 220 items.
    const base = (auditing.length - 1) / 220;
    const either = 1 - (1 - base) * (1 - 1 / claimed.items.length);
    const isSettled = new Set([...claimed.items, ...claimed.audit]);
    const byHand = auditing.map((i) => 1 / (isSettled.has(items.rows.seq[i]) ? either : base));
    weights.forEach((weight, k) => expect(weight).toBeCloseTo(byHand[k], 10));
    expect(auditWeights(reader, items, baseAudit(items, reader.reports.auditDraws()))).toBeUndefined();
    learner.close();
  });

  it('does not count spot checks among the audit items of the next look', async () => {
    const { auditSize } = await project.evidence.guarantee(0.3, 0.2);
    const audited = reading(project, (reader) => reader.counts().audit.labelled);
    expect(auditSize).toBe(audited - project.evidence.claims.spotChecks().n);
  });

  it('is withdrawn, with the reason on record, when too many of them were wrong', async () => {
    for (const { item, view } of await project.queue(7)) label(project, item, wrongOf(view.name));
    const checks = project.evidence.claims.spotChecks();
    expect(checks).toMatchObject({ n: 8, waiting: 0 });
    expect(checks.errors.low).toBeGreaterThan(LEVELS.alpha);
    expect(project.evidence.claims.claim()).toMatchObject({ look: 1, withdrawn: true, open: 0 });
    expect(project.status()).toMatchObject({ settled: 0 });
    expect(reading(project, (reader) => reader.reports.withdrawal(1))).toMatchObject({
      code: 'spot-checks',
      alpha: LEVELS.alpha,
    });
    expect(project.evidence.claims.spotCheck(3)).toEqual({ drawn: 0 });
    expect(project.verify().ok).toBe(true);
  });
});

describe('a preview where items have several labels', () => {
  it('is per label, of every audit item', async () => {
    const notes = writeNotes(90, { many: true, seed: 4 });
    const project = await newProject({ classes: COMPLAINTS, task: 'classify-many', auditShare: 0.5 });
    await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id', label: 'classes' } });
    await labelNext(project, notes.truth, 50);
    done(await project.train().finished);
    const preview = await project.evidence.guarantee(0.4, 0.3);
    expect(preview.auditSize).toBeGreaterThan(10);
    expect(preview.perClass.map(({ auditSize }) => auditSize)).toEqual(new Array(6).fill(preview.auditSize));
    // One label is easier than all of them together.
    expect(Math.max(...preview.perClass.map(({ settled }) => settled))).toBeGreaterThanOrEqual(preview.settled);
  });
});
