/**
 * Ten thousand messages that no desk would send, over the real socket to a real host with a
 * project: inputs made from the contract's own schemas and then spoiled, prototype keys, values a
 * thousand deep, long strings, marks of the serializer in wrong places. Promises that each is
 * answered, foreseeably or not at all; nothing about the program's inside comes back; the log says
 * nothing; objects are as they were; and the project still verifies.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { contract } from '../../main/api.ts';
import { ERROR_CODES } from '../../main/domain/errors.ts';
import { createRng } from '../../main/domain/rng.ts';
import { placeOf, ROOT, runCli, runJson, serveDesk, type ServedDesk } from '../served-desk.ts';

const MESSAGES = 10_000;
const work = mkdtempSync(join(tmpdir(), 'marginalia-fuzz-'));
const home = join(work, 'home');
const dir = join(work, 'project');
const rng = createRng(20);
let desk: ServedDesk;
let items: string[] = [];
let cookie = '';

/** Runs in the host beside it: says so when any object has a property that nobody gave it. */
const CANARY = `
setInterval(() => { for (const key in {}) { process.stderr.write('POLLUTED ' + key + '\\n'); delete Object.prototype[key]; } }, 20).unref();`;

beforeAll(async () => {
  mkdirSync(home);
  const canary = join(work, 'canary.mjs');
  writeFileSync(canary, `process.chdir(${JSON.stringify(work)});${CANARY}`);
  const rows = Array.from({ length: 30 }, (_, n) => JSON.stringify({ id: `p${n}`, report: `report of ${n}` }));
  writeFileSync(join(work, 'rows.jsonl'), rows.join('\n'));
  await runCli(['new', dir, '--classes', 'yes,no']);
  await runCli(['import', dir, join(work, 'rows.jsonl')]);
  desk = await serveDesk(dir, { HOME: home, USERPROFILE: home, NODE_OPTIONS: `--import ${canary}` });
  const connected = await desk.connect();
  cookie = connected.cookie;
  items = (await connected.client.items.list({})).items.map(({ id }) => id);
  connected.close();
}, 60_000);

afterAll(async () => {
  await desk.stop();
  rmSync(work, { recursive: true, force: true });
});

/** A valibot schema, as far as it is walked here. */
interface Schema {
  type: string;
  entries?: Record<string, Schema>;
  wrapped?: Schema;
  item?: Schema;
  value?: Schema;
  options?: unknown[];
  literal?: unknown;
}
interface Procedure {
  path: string;
  input: Schema | undefined;
}

/** Every procedure of the contract but those that start other processes for minutes. */
function procedures(node: object = contract, path = ''): Procedure[] {
  if ('~orpc' in node) return [{ path, input: (node['~orpc'] as { inputSchema?: Schema }).inputSchema }];
  return Object.entries(node).flatMap(([name, inner]) => procedures(inner as object, `${path}/${name}`));
}
/** Those that work for long, in this process or another, come seldom. */
const LONG =
  /^\/(desk\/(create|open)|evidence\/(report|setTarget)|imports\/(preview|start)|training\/start|encoders|safekeeping|trail\/export)/;
const slow = procedures().filter(({ path }) => LONG.test(path));
const asked = procedures().filter(({ path }) => !LONG.test(path) && !/^\/(devices|training\/tune)/.test(path));

const pick = <T>(values: readonly T[]): T => values[rng.int(values.length)];
const words = () => [
  '',
  'yes',
  'a'.repeat(1 + rng.int(300)),
  '\u0000',
  '\u202Eabc',
  '__proto__',
  'constructor',
  '😀',
  '%s%n',
  "'; DROP TABLE annotations; --",
  '<script>alert(1)</script>',
  'rows.jsonl',
  join(work, 'rows.jsonl'),
  dir,
  pick(items),
];
const numbers = [0, 1, -1, 0.5, 7, 1e9, 2 ** 53, 1e308, -0, 1e-320];

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = rng.int(2) ? [value] : { a: value };
  return value;
}

/** Anything that JSON can say. */
function anything(): unknown {
  const kinds: (() => unknown)[] = [
    () => null,
    () => true,
    () => pick(numbers),
    () => pick(words()),
    () => 'x'.repeat(20_000),
    () => [],
    () => ({}),
    () => [pick(words()), pick(numbers), null],
    () => deep(1000),
    () => JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}') as unknown,
    () => JSON.parse('{"toString": 1, "valueOf": null, "then": "x", "length": 1e9}') as unknown,
    () => Array.from({ length: 500 }, () => pick(words())),
  ];
  return pick(kinds)();
}

/** What the schema asks for, more or less. */
function fitting(schema: Schema | undefined): unknown {
  switch (schema?.type) {
    case 'object':
    case 'loose_object':
    case 'strict_object':
      return Object.fromEntries(Object.entries(schema.entries ?? {}).map(([key, inner]) => [key, fitting(inner)]));
    case 'optional':
    case 'nullable':
      return rng.int(3) === 0 ? null : fitting(schema.wrapped);
    case 'array':
      return Array.from({ length: rng.int(4) }, () => fitting(schema.item));
    case 'record':
      return { [pick(words())]: fitting(schema.value) };
    case 'picklist':
      return pick(schema.options ?? ['']);
    case 'union':
    case 'variant':
      return fitting(pick(schema.options as Schema[]));
    case 'literal':
      return schema.literal;
    case 'number':
      return pick(numbers);
    case 'boolean':
      return rng.int(2) === 0;
    case 'custom':
      return pick(items);
    case 'string':
      return pick(words());
    default:
      return anything();
  }
}

/** One place of a value replaced by anything at all. */
function spoiled(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || rng.int(4) === 0) return anything();
  const keys = Object.keys(value);
  if (keys.length === 0 || rng.int(5) === 0)
    return { ...value, [pick(['__proto__', 'extra', 'constructor'])]: anything() };
  const key = pick(keys);
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<string, unknown>;
  copy[key] = spoiled(copy[key]);
  return copy;
}

/** Marks by which the serializer makes dates, sets and the like of what they point at. */
function marks(): unknown {
  return pick([
    [[rng.int(9), '__proto__', 'polluted']],
    [[1, 'a', 'b', 'c']],
    [[rng.int(9)], [rng.int(9), 0], ['x']],
    [[4, 'annotator']],
    { a: 1 },
    'x',
    null,
    Array.from({ length: 200 }, () => [rng.int(9), pick(words())]),
  ]);
}

function message(n: number): string {
  const { path, input } = rng.int(60) === 0 ? pick(slow) : pick(asked);
  const u = rng.int(20) === 0 ? pick(['/nothing/here', '/annotations', '/constructor', '/items/get/get']) : path;
  const json = rng.int(4) === 0 ? fitting(input) : spoiled(fitting(input));
  const b = rng.int(8) === 0 ? { json, meta: marks() } : { json };
  const h =
    rng.int(8) === 0 ? { 'marginalia-who': pick(['%', '%E0%A4%A', 'Dr%20Who', '__proto__', '%00']) } : undefined;
  return JSON.stringify({ i: `f${n}`, p: { u, b, h } }).replaceAll('1e+308', '1e999');
}

interface Answer {
  i: string;
  p: { s?: number; b?: { json?: { code?: string; message?: string; data?: { code?: string } } } | string };
}

/** What is wrong with an answer; null for a good one and for an error as the contract has them. */
function complaint({ p }: Answer): string | null {
  if ((p.s ?? 200) < 400 || p.b === 'No procedure matched') return null;
  const { code, data } = (typeof p.b === 'object' ? p.b.json : undefined) ?? {};
  const text = JSON.stringify(p.b);
  if (/node_modules|\\n\s+at |\.ts:\d|file:\/\//.test(text) || text.includes(ROOT)) return `tells too much: ${text}`;
  if (code === 'BAD_REQUEST') return null;
  return code === 'ENGINE' && ERROR_CODES.some((known) => known === data?.code) ? null : `is no error of ours: ${text}`;
}

test('Ten thousand spoiled messages do no harm and are told nothing', async () => {
  const socket = new WebSocket(`${desk.origin.replace('http', 'ws')}${placeOf(cookie)}/rpc`, ['marginalia'], {
    headers: { Cookie: cookie, Origin: desk.origin },
  });
  await once(socket, 'open');
  const unanswered = new Map<string, string>();
  const complaints: string[] = [];
  const outcomes = new Map<string, number>();
  socket.on('message', (data: Buffer) => {
    const answer = JSON.parse(data.toString()) as Answer & { t?: number };
    if (answer.t !== undefined) return; // an event of a stream
    const complained = complaint(answer);
    if (complained !== null) complaints.push(`${unanswered.get(answer.i)?.slice(0, 300)} ${complained}`.slice(0, 600));
    const outcome = typeof answer.p.b === 'object' ? (answer.p.b.json?.data?.code ?? `${answer.p.s ?? 200}`) : 'none';
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    unanswered.delete(answer.i);
  });
  for (let n = 0; n < MESSAGES; n++) {
    const sent = message(n);
    unanswered.set(`f${n}`, sent);
    socket.send(sent);
    while (unanswered.size > 200) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (let waited = 0; unanswered.size > 0 && waited < 60_000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect([...unanswered.values()].map((sent) => sent.slice(0, 300))).toEqual([]);
  expect(complaints).toEqual([]);
  expect(outcomes.size, 'many kinds of answers').toBeGreaterThan(12);
  socket.terminate();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(desk.process.exitCode).toBeNull();
  expect(desk.log()).toBe('');
  await desk.stop();
  expect((await runJson('verify', dir)).json).toMatchObject({ ok: true });
}, 240_000);

test('What the ten thousand are watched for is seen', async () => {
  const answer = (code: string, message: string): Answer => ({
    i: 'f1',
    p: { s: 500, b: { json: { code, message } } },
  });
  expect(complaint(answer('INTERNAL_SERVER_ERROR', 'Internal server error'))).not.toBeNull();
  expect(complaint(answer('BAD_REQUEST', `Broken\n    at call (${ROOT}main/engine.ts:1:1)`))).not.toBeNull();
  expect(complaint(answer('BAD_REQUEST', 'Malformed request.'))).toBeNull();
  const polluted = spawn(process.execPath, [
    '--import',
    join(work, 'canary.mjs'),
    '-e',
    'Object.prototype.x = 1; setTimeout(() => {}, 300)',
  ]);
  const [said] = (await once(polluted.stderr, 'data')) as [Buffer];
  expect(said.toString()).toBe('POLLUTED x\n');
});
