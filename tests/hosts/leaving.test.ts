/**
 * The last window goes away: a run that may begin then begins, one window among several
 * changes nothing, and neither does a page that is loaded anew.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startWebHost } from '../../hosts/web.ts';
import { Engine } from '../../main/engine.ts';
import {
  canFindProcesses,
  closed,
  computeProcesses,
  imported,
  newFolder,
  newProject,
  until,
} from '../engine/small-projects.ts';
import { CLASSES, writeStripes } from '../engine/striped-project.ts';
import { connectWithCookie } from '../served-desk.ts';

const GONE_AFTER_MS = 400;
const engine = new Engine({ host: 'web' });
afterAll(() => engine.close());

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('Fine-tuning begins when the last window has been gone for a moment, and not before', async () => {
  engine.left(); // with no project there is nobody to tell
  const project = await newProject({ classes: CLASSES });
  const pictures = newFolder();
  await writeStripes(pictures, 170);
  await imported(project, { sources: [pictures], labelsFromFolders: true, labels: 'given' });
  await closed(project);
  await engine.open(project.dir);
  engine.project.setTuning({ automatic: false, onClose: true });
  expect(engine.project.status().tuning).toMatchObject({
    labelsNeeded: 0,
    paused: false,
    forExpert: false,
    last: null,
  });
  const desk = newFolder();
  writeFileSync(join(desk, 'index.html'), '');
  const host = await startWebHost(engine, { desk, goneAfterMs: GONE_AFTER_MS });
  const { origin, hash } = new URL(host.address);
  const session = await fetch(`${origin}/session`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${hash.replace('#token=', '')}` },
  });
  const window = () => connectWithCookie(origin, session.headers.getSetCookie()[0].split(';')[0]);
  const runs = () => engine.project.jobs.active().filter(({ kind }) => kind === 'tune');

  const [first, second] = [await window(), await window()];
  first.close();
  await wait(2 * GONE_AFTER_MS);
  expect(runs(), 'another window is open').toEqual([]);
  second.close();
  const again = await window();
  await wait(2 * GONE_AFTER_MS);
  expect(runs(), 'the page was only loaded anew').toEqual([]);

  again.close();
  await until('a run has begun', () => runs().length === 1);
  const back = await window();
  await back.client.queue.next({ count: 1 });
  expect(engine.project.status().tuning, 'a window that fetches is nobody').toMatchObject({ paused: false });
  await back.client.training.present();
  expect(engine.project.status().tuning).toMatchObject({ paused: true, forExpert: true });
  await back.client.training.pause({ paused: false });
  await back.client.training.present();
  expect(engine.project.status().tuning, 'the expert has said so').toMatchObject({ paused: false, forExpert: false });
  engine.project.jobs.cancel(runs()[0].id);
  await until('it has ended', () => engine.project.status().tuning.last !== null);
  expect(engine.project.status().tuning.last).toMatchObject({ kind: 'tune', state: 'cancelled' });
  await back.client.training.tune();
  await until('another has begun', () => typeof runs()[0]?.stage === 'string');
  back.close();
  await host.close();
  await engine.close();
  if (canFindProcesses) await until('nothing goes on computing', () => computeProcesses(project.dir).length === 0);
});
