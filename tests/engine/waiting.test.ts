/** Work that waited for its turn when the project was closed. */
import { expect, test } from 'vitest';
import { closed, COMPLAINTS, importing, newProject, reopened, until, writeNotes } from './small-projects.ts';

const MAPPING = { text: 'text', id: 'id' };

test('An import that waits behind another when the project is closed is done at the next start, in order', async () => {
  const files = [
    writeNotes(40, { seed: 2 }),
    writeNotes(40, { seed: 3, from: 40 }),
    writeNotes(40, { seed: 4, from: 80 }),
  ];
  const project = await newProject({ classes: COMPLAINTS }, { resume: true });
  const jobs = files.map(({ file }) => importing(project, { sources: [file], mapping: MAPPING }));
  for (const job of jobs) job.finished.catch(() => undefined);
  const training = project.train();
  training.finished.catch(() => undefined);
  await closed(project);
  const again = await reopened(project.dir, { resume: true });
  await until('all is taken in', () => again.status().items === 120);
  const listed = () => again.jobs.list().filter(({ id }) => jobs.some((job) => job.id === id));
  await until('the imports are over', () => listed().every(({ state }) => state === 'done'));
  expect(listed().map(({ id }) => id)).toEqual(jobs.map(({ id }) => id).reverse());
  // Nobody waits for a training of yesterday: it begins anew when it is due.
  expect(again.jobs.list().find(({ id }) => id === training.id)?.state).toBe('cancelled');
});
