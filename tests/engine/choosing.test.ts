import { expect, it } from 'vitest';
import {
  closed,
  COMPLAINTS,
  done,
  imported,
  labelNext,
  newFolder,
  newProject,
  reopened,
  writeNotes,
} from './small-projects.ts';

it('chooses as the project is set to, after a restart too, and says so of each item', async () => {
  const dir = `${newFolder()}/project`;
  const notes = writeNotes(80);
  let project = await newProject({ classes: COMPLAINTS }, { resume: false }, dir);
  await imported(project, { sources: [notes.file], mapping: { id: 'id', text: 'text', label: 'classes' } });
  await labelNext(project, notes.truth, 24);
  done(await project.train().finished);
  project.choosing.set({ strategy: 'entropy', randomShare: 0.3 });
  await closed(project);
  project = await reopened(dir, { resume: false });
  expect(project.choosing.settings()).toMatchObject({ strategy: 'entropy', randomShare: 0.3 });
  // A training chooses anew; what is about to be seen keeps its place.
  done(await project.train().finished);
  const entries = (await project.queue(60)).filter(({ strategy }) => strategy === 'entropy' || strategy === 'random');
  expect(entries.some(({ strategy }) => strategy === 'entropy')).toBe(true);
  expect(entries.some(({ strategy }) => strategy === 'random')).toBe(true);
  for (const { strategy, why } of entries) expect(why.code).toBe(strategy);
});
