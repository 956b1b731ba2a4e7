/**
 * Every query strategy on a real project, as compute runs it: with the embeddings, the live
 * version's probabilities and a committee fitted to its labels; and before there is a model.
 */
import { expect, test } from 'vitest';
import { STRATEGIES } from '../../main/acquisition/index.ts';
import { Learner } from '../../main/learner.ts';
import { closed, COMPLAINTS, done, imported, labelNext, newFolder, newProject, writeNotes } from './small-projects.ts';

const options = { count: 4, auditCount: 0, seed: 5, keep: [] };

test('Every strategy chooses on a project’s own numbers, and gives way to typicality before there is a model', async () => {
  const notes = writeNotes(90);
  const dir = `${newFolder()}/project`;
  const project = await newProject({ classes: COMPLAINTS }, { resume: false }, dir);
  await imported(project, { sources: [notes.file], mapping: { text: 'text', id: 'id' } });
  const choosing = async () => {
    const learner = new Learner(dir);
    const chosen: Record<string, string> = {};
    for (const strategy of Object.keys(STRATEGIES)) {
      const { picks, policy } = await learner.choose({ ...options, strategy }, () => undefined);
      expect(new Set(picks.map(({ item }) => item)).size).toBe(4);
      for (const pick of picks) expect(Number.isFinite(pick.score)).toBe(true);
      chosen[strategy] = policy.strategy;
    }
    learner.close();
    return chosen;
  };
  // The first queue makes the encoder.
  await project.queue(1);
  const modelFree = new Set(['random', 'typicality', 'k-center', 'probcover']);
  const names = Object.keys(STRATEGIES);
  expect(await choosing()).toEqual(
    Object.fromEntries(names.map((name) => [name, modelFree.has(name) ? name : 'typicality'])),
  );
  await labelNext(project, notes.truth, 25);
  done(await project.train().finished);
  await closed(project);
  const { default: automatic, albl: bandit, ...own } = await choosing();
  expect(['typicality', 'margin-diverse']).toContain(automatic);
  expect(names).toContain(bandit);
  for (const [name, used] of Object.entries(own)) expect(used).toBe(name);
});
