/**
 * Fine-tuning through the facade: what a run gives, how the loop goes on with it, holding it
 * still, cancelling it, and what it says when there is nothing to learn from.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { EncoderEntry } from '../../main/compute-api.ts';
import { openItemModel } from '../../main/inference/index.ts';
import type { Project } from '../../main/project.ts';
import { done, imported, newFolder, newProject, reading, until } from './small-projects.ts';
import { CLASSES, writeStripes } from './striped-project.ts';

const QUICK = { epochs: 4, copies: 1, threads: 1, device: 'cpu' as const };

async function stripedProject(count: number): Promise<Project> {
  const folder = newFolder();
  await writeStripes(folder, count);
  const project = await newProject({ classes: CLASSES, auditShare: 0.15 });
  await imported(project, { sources: [folder], labelsFromFolders: true, labels: 'given' });
  return project;
}

describe('A fine-tuning run', () => {
  let project: Project;
  beforeAll(async () => {
    project = await stripedProject(76);
    done(await project.train().finished);
  });

  it('gives a version on an encoder of its own, and leaves no checkpoint behind', async () => {
    const before = project.encoders()[0];
    const { result } = done(await project.tune(QUICK).finished);
    expect(result).toMatchObject({ version: 2, promoted: true, notices: [] });
    const [encoder] = project.encoders();
    expect(encoder).toMatchObject({ dims: before.dims + 2, live: true, tuned: true });
    expect(project.versions()[0]).toMatchObject({ version: 2, live: true, encoder: encoder.version });
    expect(readdirSync(join(project.dir, 'runs'))).toEqual([]);
  });

  it('gives one file that says what the project says', async () => {
    const { items, classes } = await project.predict();
    expect(classes).toEqual(CLASSES);
    const [version] = project.versions();
    const { file, card } = reading(project, (reader) => ({
      file: reader.blobs.read(version.sha256),
      card: reader.versions.newestEncoder()!.card as EncoderEntry,
    }));
    // Items of the audit set: no network was trained on them, so the file's mean is what counts.
    const rows = reading(project, ({ items }) => items.poolRows());
    const audit = Array.from(rows.role, (role, i) => (role === 1 ? rows.id[i] : null)).filter((id) => id !== null);
    expect(audit.length).toBeGreaterThan(5);
    const parts = reading(project, (reader) => audit.map((id) => reader.items.get(id)!.parts));
    const model = await openItemModel(file, card.card.parts, { threads: 1 });
    const { outputs } = await model.run(parts, ['probabilities']);
    await model.close();
    audit.forEach((id, i) => {
      const expected = items.find((item) => item.item === id)!.probabilities;
      expected.forEach((p, j) => expect(outputs.probabilities.data[2 * i + j]).toBeCloseTo(p, 4));
    });
  });

  it('is what the next training goes on from, and can be taken back', async () => {
    const { result } = done(await project.train().finished);
    const tuned = project.encoders()[0].version;
    expect(project.versions().find(({ version }) => version === result!.version)!.encoder).toBe(tuned);
    project.rollback('test');
    expect(project.versions().find(({ live }) => live)!.version).toBe(2);
    project.rollback('test');
    expect(project.versions().find(({ live }) => live)!.version).toBe(1);
    expect((await project.predict()).modelVersion).toBe(1);
  });

  it('extends the same encoder when it is run again, not its own outcome', async () => {
    const { dims } = project.encoders().at(-1)!;
    done(await project.tune(QUICK).finished);
    expect(project.encoders()[0].dims).toBe(dims + 2);
  });

  it('stands still while it is paused, and ends when it is cancelled', async () => {
    const { id, finished } = project.tune({ ...QUICK, epochs: 2000, checkpointAfterMs: 0 });
    const job = () => project.jobs.active().find((active) => active.id === id);
    await until('the run trains', () => job()?.stage === 'tuning' && job()!.done! > 2);
    expect(() => project.tune(QUICK)).toThrow('already on');
    await project.pauseTuning(true);
    await until('the run stands still', () => job()?.stage === 'paused');
    const at = job()!.done;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(job()!.done).toBe(at);
    expect(project.status().tuning.paused).toBe(true);
    await project.pauseTuning(false);
    await until('the run goes on', () => job()!.done! > at!);
    expect(existsSync(join(project.dir, 'runs', `${id}.checkpoint`))).toBe(true);
    project.jobs.cancel(id);
    expect((await finished).state).toBe('cancelled');
    expect(existsSync(join(project.dir, 'runs', `${id}.checkpoint`))).toBe(false);
  });
});

describe('Nothing to fine-tune', () => {
  it('is said with the number of labels that are missing', async () => {
    const project = await stripedProject(20);
    const { error } = await project.tune(QUICK).finished;
    expect(error).toMatchObject({ code: 'tuning-unavailable', context: { needed: 60 } });
    expect(error!.hint).toContain('more items');
  });
});
