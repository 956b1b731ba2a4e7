/**
 * Part `odd-projects` of `npm run soak`: annotators and materials that no test thought of.
 * Projects of one and of several classes per item, of texts and of measurements, with 2 to 30
 * classes, are labelled by bots that are right, guess, always say the same or skip; settings
 * are changed at random, and after every handful of acts everything is asked that can be
 * asked. Whatever is answered keeps the contract and is finite, whatever is refused is
 * refused with a code. `--projects=N`, `--seed=N`.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRouterClient } from '@orpc/server';
import { EngineError } from '../../main/domain/errors.ts';
import { createRng, type Rng } from '../../main/domain/rng.ts';
import { Engine } from '../../main/engine.ts';
import { flag, idle } from './parts.ts';

const PROJECTS = flag('projects', 24);
const SEED = flag('seed', 1);
const ACTS = 160;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'marginalia-odd-'));
const engine = new Engine({ host: 'cli', home: folder });
const client = createRouterClient(engine.router, { context: { reqHeaders: new Headers() } });
const wrong: string[] = [];
const answers = new Map<string, number>();
const refusals = new Map<string, number>();
let where = '';

/** Paths of numbers that are no numbers; bytes and open ends of axes do not count. */
function notFinite(value: unknown, at = ''): string[] {
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [`${at} = ${value}`];
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => notFinite(inner, `${at}.${name}`));
}

/** What oRPC says of an answer that does not keep the contract. */
function issuesOf(error: unknown): string {
  const { issues } = ((error as Error).cause ?? {}) as {
    issues?: { message: string; path?: { key: PropertyKey }[] }[];
  };
  const said = issues?.map((one) => `${one.path?.map(({ key }) => String(key)).join('.')}: ${one.message}`);
  return said?.slice(0, 3).join('; ') ?? ((error as Error).stack ?? String(error)).split('\n').slice(0, 4).join(' | ');
}

async function tried<T>(name: string, call: () => Promise<T>): Promise<T | null> {
  try {
    const answer = await call();
    answers.set(name, (answers.get(name) ?? 0) + 1);
    for (const found of notFinite(answer).slice(0, 3)) wrong.push(`${where}, ${name}: ${found}`);
    return answer;
  } catch (error) {
    const code = error instanceof EngineError ? error.code : (error as { data?: { code?: string } }).data?.code;
    if (code === undefined) wrong.push(`${where}, ${name}: ${issuesOf(error)}`);
    else refusals.set(`${name} ${code}`, (refusals.get(`${name} ${code}`) ?? 0) + 1);
    return null;
  }
}

interface Material {
  file: string;
  mapping: Record<string, unknown>;
  truth: Map<string, number>;
}

/** A table of texts or measurements; a class tells in some rows, in none, or in all. */
function material(rng: Rng, kind: 'text' | 'numbers', classes: number, rows: number, told: number): Material {
  const truth = new Map<string, number>();
  const lines = [kind === 'text' ? 'id,site,text' : 'id,site,a,b,c'];
  for (let row = 0; row < rows; row++) {
    const own = rng.int(classes);
    truth.set(`r${row}`, own);
    const tells = rng.next() < told;
    const site = ['north', 'south', ''][rng.int(3)];
    const words = () => Array.from({ length: 1 + rng.int(12) }, () => `w${rng.int(90)}`).join(' ');
    const cells =
      kind === 'text'
        ? [`${tells ? `own${own} own${own} ` : ''}${words()}`]
        : [tells ? own + rng.next() / 9 : rng.next() * classes, rng.int(20) === 0 ? '' : rng.next(), 7];
    lines.push([`r${row}`, site, ...cells].join(','));
  }
  const file = path.join(folder, `table ${rng.int(1e9)}.csv`);
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  const content = kind === 'text' ? { text: 'text' } : { numbers: ['a', 'b', 'c'] };
  return { file, mapping: { id: 'id', attributes: ['site'], ...content }, truth };
}

const ASKED: Record<string, () => Promise<unknown>> = {
  status: () => client.status(),
  'imports.problems': () => client.imports.problems(),
  'items.list': () => client.items.list({ limit: 100 }),
  'queue.next': () => client.queue.next({ count: 12 }),
  'annotations.history': () => client.annotations.history({}),
  'versions.list': () => client.versions.list(),
  'evidence.curve': () => client.evidence.curve(),
  'evidence.report': () => client.evidence.report(),
  'evidence.guarantee': () => client.evidence.guarantee({ alpha: 0.1, delta: 0.1 }),
  'evidence.settledAt': () => client.evidence.settledAt({ delta: 0.1 }),
  'evidence.levels': () => client.evidence.levels(),
  'evidence.claim': () => client.evidence.claim(),
  'evidence.spotChecks': () => client.evidence.spotChecks(),
  'evidence.subgroups': () => client.evidence.subgroups(),
  'evidence.drift': () => client.evidence.drift(),
  'looks.list': () => client.looks.list({}),
  'looks.consistency': () => client.looks.consistency(),
  'tray.list': () => client.tray.list({}),
  'trail.list': () => client.trail.list({}),
  'safekeeping.state': () => client.safekeeping.state(),
  'choosing.settings': () => client.choosing.settings(),
  'encoders.list': () => client.encoders.list(),
  'jobs.list': () => client.jobs.list(),
  'items.similar': async () => client.items.similar({ item: (await client.items.list({ limit: 3 })).items[0].id }),
  'choosing.why': async () => {
    const [asked] = await client.queue.next({ count: 1 });
    return asked && client.choosing.why({ item: asked.item });
  },
  'items.explain': async () => {
    const { items } = await client.items.list({ state: 'labelled', limit: 5 });
    return items.length > 0 ? client.items.explain({ item: items[items.length - 1].id }) : null;
  },
};

const WAYS = ['right', 'guess', 'same', 'often right', 'skip', 'opposite'] as const;

function answerOf(way: (typeof WAYS)[number], own: number, classes: number, rng: Rng): number | null {
  if (way === 'skip' && rng.next() < 0.7) return null;
  if (way === 'same') return 0;
  if (way === 'opposite') return (own + 1) % classes;
  return way === 'guess' || (way === 'often right' && rng.next() < 0.3) ? rng.int(classes) : own;
}

async function changeSomething(rng: Rng, strategies: readonly string[]): Promise<void> {
  const changes: Record<string, () => Promise<unknown>> = {
    'choosing.set': () =>
      client.choosing.set({
        strategy: strategies[rng.int(strategies.length)],
        randomShare: rng.next() / 2,
        balance: rng.int(2) === 0 ? null : { by: 'class' },
        perMinute: rng.int(2) === 0,
      }),
    'evidence.setLevels': () =>
      client.evidence.setLevels({ alpha: 0.01 + rng.next() / 2, delta: 0.01 + rng.next() / 2 }),
    'evidence.setTarget': () => client.evidence.setTarget({ target: [0, 0.5, 0.9, 1][rng.int(4)] }),
    'looks.setReadings': () => client.looks.setReadings({ share: rng.next() / 5, after: 5, otherShare: rng.next() }),
    'evidence.spotCheck': () => client.evidence.spotCheck({ count: 1 + rng.int(20) }),
    'training.start': () => client.training.start(),
    'versions.rollback': () => client.versions.rollback(),
    'annotations.undo': () => client.annotations.undo({ annotator: 'bot' }),
    'annotations.redo': () => client.annotations.redo({ annotator: 'bot' }),
    'schema.addClass': () => client.schema.addClass({ name: `new ${rng.int(1e6)}` }),
  };
  const names = Object.keys(changes);
  const name = names[rng.int(names.length)];
  await tried(name, changes[name]);
}

async function oneProject(seed: number): Promise<void> {
  const rng = createRng(seed);
  const classes = Array.from({ length: [2, 3, 5, 30][rng.int(4)] }, (_, i) => `c${i}`);
  const kind = rng.int(2) === 0 ? 'text' : 'numbers';
  const task = rng.int(3) === 0 ? 'classify-many' : 'classify';
  const way = WAYS[rng.int(WAYS.length)];
  const rows = [1, 12, 90, 400][rng.int(4)];
  where = `seed ${seed} (${rows} ${kind}, ${task}, ${classes.length} classes, ${way})`;
  const { file, mapping, truth } = material(rng, kind, classes.length, rows, [0, 0.5, 1][rng.int(3)]);
  await client.desk.create({ dir: path.join(folder, `project ${seed}`), task, classes });
  await tried('imports.start', () => client.imports.start({ sources: [file], mapping }));
  await idle(client);
  const strategies = (await client.choosing.strategies()).map(({ name }) => name);
  for (let act = 0; act < ACTS; act++) {
    const entry = (await tried('queue.next', () => client.queue.next({ count: 1 })))?.[0];
    const list = entry ? null : await tried('items.list', () => client.items.list({ limit: 1, after: rng.int(rows) }));
    const view = entry?.view ?? list?.items[0];
    if (view) {
      const own = answerOf(way, truth.get(view.name) ?? 0, classes.length, rng);
      const several = classes.filter(() => rng.next() < 0.3);
      const given = task === 'classify-many' && rng.int(2) === 0 ? several : [classes[own ?? 0]];
      await tried('annotations.add', () =>
        client.annotations.add({
          ...{ item: view.id, annotator: 'bot', durationMs: rng.int(4) * 1000 },
          ...(own === null ? { act: 'skip' as const } : { act: 'label' as const, classes: given }),
        }),
      );
    }
    if (rng.int(9) === 0) await changeSomething(rng, strategies);
    if (act % 20 === 19) {
      if (rng.int(2) === 0) await idle(client);
      for (const [name, call] of Object.entries(ASKED)) await tried(name, call);
    }
  }
  await idle(client);
  for (const [name, call] of Object.entries(ASKED)) await tried(name, call);
  for (const job of await client.jobs.list())
    if (job.state === 'failed' && job.error === null) wrong.push(`${where}: job ${job.kind} failed without a reason`);
}

process.on('unhandledRejection', (error) => wrong.push(`${where}: nobody waited for ${issuesOf(error)}`));
for (let seed = SEED; seed < SEED + PROJECTS; seed++) await oneProject(seed);
await engine.close();
fs.rmSync(folder, { recursive: true, force: true });

const sum = (counts: Map<string, number>) => [...counts.values()].reduce((all, n) => all + n, 0);
console.log(`  refused: ${[...refusals].map(([what, n]) => `${what} ${n}`).join(', ')}`);
console.log(
  `${PROJECTS} projects, ${sum(answers)} answers to ${answers.size} procedures, ${sum(refusals)} refusals: ${wrong.length} wrong`,
);
for (const line of wrong.slice(0, 20)) console.error(`  WRONG ${line}`);
process.exitCode = wrong.length > 0 || sum(answers) < PROJECTS * 100 ? 1 : 0;
