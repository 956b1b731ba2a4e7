/**
 * The whole loop as a user goes through it, in the folder that is named: import, label, train, where
 * “whole” is named third a step of fine-tuning, explain, errors, export, backup, and a host that is killed. Every word that
 * could be a patient's carries the mark that is named second. Prints what the program said to its
 * terminal and log, as JSON.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { runCli, serveDesk } from '../served-desk.ts';

const [work, mark, extent] = process.argv.slice(2);
const isWhole = extent === 'whole';
const dir = join(work, 'project');
const said: string[] = [];

async function command(...args: string[]): Promise<void> {
  const { code, stderr } = await runCli(args);
  // What is printed on request is for whoever asks; the log is not.
  said.push(stderr);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${stderr}`);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > 600) throw new Error('It took too long.');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Steps of fine-tuning that were made before it was cancelled; what was read for it does not count. */
async function tune(): Promise<number> {
  const { job } = await client.training.tune();
  let furthest = 0;
  await until(async () => {
    const now = (await client.jobs.list()).find(({ id }) => id === job);
    if (now?.stage === 'tuning') furthest = Math.max(furthest, now.done ?? 0);
    return furthest > 0 || (now?.endedAt ?? null) !== null;
  });
  await client.jobs.cancel({ job }).catch(() => undefined);
  return furthest;
}

const scans = join(work, `${mark} scans`);
mkdirSync(scans);
// Squares of chance, so that no two are near duplicates; odd ones are reddish.
const rng = createRng(7);
for (let n = 0; n < (isWhole ? 90 : 8); n++) {
  const raw = Buffer.from(Array.from({ length: 8 * 8 * 3 }, (_, i) => rng.int(200) + (n % 2 && i % 3 === 0 ? 55 : 0)));
  await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } })
    .resize(64, 64, { kernel: 'nearest' })
    .png()
    .toFile(join(scans, `${mark} ${n}.png`));
}
writeFileSync(join(scans, `${mark} damaged.png`), Buffer.from('89504e470d0a1a0a00000000', 'hex'));
writeFileSync(join(scans, `${mark} empty.txt`), '');
const rows = Array.from({ length: 60 }, (_, n) =>
  JSON.stringify({
    id: `${mark} ${n}`,
    report: `${mark} has a ${n % 2 ? 'red and swollen' : 'blue and thin'} finding of ${n} mm`,
    group: `${mark} ${n % 20}`,
  }),
);
writeFileSync(join(work, `${mark}.jsonl`), rows.join('\n'));

await command('new', dir, '--classes', `${mark} red,blue`, '--name', mark);
await command('import', dir, join(work, `${mark}.jsonl`), scans);

let desk = await serveDesk(dir);
const { client, cookie, close } = await desk.connect();
const { items } = await client.items.list({ limit: 500 });
const texts = items.filter(({ parts }) => parts.some(({ kind }) => kind === 'text'));
const act = { annotator: mark, durationMs: 500 };
// Fine-tuning learns from what most labels are of: from images much sooner than from texts.
const images = items.filter(({ parts }) => parts.some(({ kind }) => kind === 'image'));
const labelled = isWhole ? [...images, ...texts.slice(0, 24)] : texts.slice(0, 24);
for (const [n, { id, name }] of labelled.entries()) {
  await client.annotations.add({
    ...act,
    item: id,
    act: 'label',
    classes: [Number(/\d+(?=\D*$)/.exec(name)?.[0]) % 2 ? `${mark} red` : 'blue'],
  });
  if (n % 10 === 0) await client.annotations.add({ ...act, item: id, act: 'comment', text: `${mark} called` });
}
await until(async () => (await client.status()).modelVersion !== null);
await client.queue.next({ count: 8 });
await client.items.explain({ item: texts[0].id }).catch(() => undefined);
await client.evidence.report();
const tuned = isWhole ? await tune() : null;

// What goes wrong is said to the desk; the log has no part in it.
const refused = [
  client.items.get({ item: mark as never }),
  client.imports.preview({ sources: [join(work, mark, 'absent')] }),
  client.annotations.add({ ...act, item: texts[0].id, act: 'label', classes: [mark] }),
  client.desk.open({ dir: join(work, mark) }),
  client.schema.addClass({ name: `${mark} red` }),
];
const troubles = await Promise.all(
  refused.map((call) =>
    call.then(
      () => false,
      () => true,
    ),
  ),
);
rmSync(join(scans, `${mark} 0.png`));
const place = `/${/=([^.]+)\./.exec(cookie)?.[1]}`;
const statuses: number[] = [];
for (const { id } of items) {
  const { status } = await fetch(`${desk.origin}${place}/pixels/${id}/0`, { headers: { Cookie: cookie } });
  statuses.push(status);
}
close();
await desk.stop();
said.push(desk.log());

await command('export', dir, '--format', 'csv', join(work, 'labels.csv'));
await command('backup', dir, join(work, 'backup'));
await command('verify', dir);
desk = await serveDesk(dir);
const again = await desk.connect();
await again.client.annotations.add({ ...act, item: items[0].id, act: 'skip' });
await desk.kill();
said.push(desk.log());
console.log(JSON.stringify({ said, troubles, statuses: [...new Set(statuses)].toSorted((a, b) => a - b), tuned }));
