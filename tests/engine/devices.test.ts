/**
 * Devices are tried in processes of their own: one that dies, hangs or computes wrongly is
 * remembered with its reason and the engine lives on; what was found is kept for the next
 * start; the choice decides where models run, and the status tells the truth about it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Devices, knownDevice, type DeviceEntry } from '../../main/devices.ts';
import type { EngineError } from '../../main/domain/errors.ts';
import { Project } from '../../main/project.ts';

const dir = mkdtempSync(join(tmpdir(), 'marginalia-devices-'));
let cacheHome: string | undefined;
beforeAll(() => {
  cacheHome = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = dir;
});
afterAll(() => {
  if (cacheHome === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheHome;
  rmSync(dir, { recursive: true, force: true });
});

let count = 0;
/** Devices whose trials are played by `script`, which finds the device's name in `device`. */
function played(script: string, options: { file?: string; timeoutMs?: number } = {}) {
  const entry = join(dir, `entry-${++count}.mjs`);
  writeFileSync(
    entry,
    `const device = process.argv[2];\nconst say = (x) => console.log(JSON.stringify(x));\n${script}`,
  );
  const kept = new Map<string, unknown>();
  let changes = 0;
  const devices = new Devices({
    settings: { get: (key) => kept.get(key), set: (key, value) => void kept.set(key, value) },
    recorded: (_, work) => work(),
    changed: () => changes++,
    file: options.file ?? join(dir, `devices-${count}.json`),
    entry,
    timeoutMs: options.timeoutMs,
  });
  return { devices, kept, changes: () => changes };
}

const of = (entries: DeviceEntry[], device: string) => entries.find((entry) => entry.device === device)!;
const refusal = async (work: Promise<unknown>): Promise<EngineError | null> =>
  work.then(
    () => null,
    (error: unknown) => error as EngineError,
  );

describe('A trial', () => {
  const fates: [string, string, number | undefined, RegExp][] = [
    ['dies of a signal', "process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);", undefined, /SIGSEGV/],
    ['ends with an exit code', 'process.exit(3);', undefined, /exit code 3/],
    ['hangs', 'for (;;);', 300, /no answer within 0.3 seconds/],
    ['says nothing', '', undefined, /without an answer/],
    ['says what is no answer', "console.log('hello');", undefined, /without an answer/],
    ['answers and dies', "say({state: 'ready', speed: 9, error: 0}); process.exit(1);", undefined, /exit code 1/],
    ['computes wrongly', "say({state: 'failed', reason: 'It computes differently.'});", undefined, /differently/],
  ];
  test.each(fates)('that %s is a failed device, and everything goes on', async (_fate, script, timeoutMs, reason) => {
    const { devices } = played(script, { timeoutMs });
    const error = await refusal(devices.resolve('webgpu'));
    expect(error).toMatchObject({ code: 'device-unavailable', context: { device: 'webgpu' } });
    expect(error?.message).toMatch(reason);
    const entry = of(await devices.tried(), 'webgpu');
    expect(entry).toMatchObject({ state: 'failed', speed: null, chosen: false });
    expect(entry.reason).toMatch(reason);
    expect(await devices.resolve('auto')).toBe('cpu');
  });

  test('is made once: what was found holds for the next start, until the drivers’ settings change', async () => {
    const file = join(dir, 'kept.json');
    const log = join(dir, 'log');
    const script = `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(log)}, device + '\\n');
      say({state: 'ready', speed: 4, error: 1e-6});`;
    const first = played(script, { file });
    await first.devices.tried();
    const tries = readFileSync(log, 'utf8');
    const second = played(script, { file });
    expect(of(second.devices.list(), 'webgpu')).toMatchObject({ state: 'ready', speed: 4, chosen: true });
    expect(knownDevice(undefined, file)).toBe('webgpu');
    expect(knownDevice('cpu', file)).toBe('cpu');
    expect(readFileSync(log, 'utf8')).toBe(tries);
    process.env.VK_ICD_FILENAMES = '/another/driver.json';
    try {
      expect(knownDevice(undefined, file)).toBe('cpu');
      expect(of(played(script, { file }).devices.list(), 'webgpu').state).toBe('probing');
    } finally {
      delete process.env.VK_ICD_FILENAMES;
    }
  });

  test('does not make the caller wait: a device is probing until a change says more', async () => {
    const { devices, changes } = played("say({state: 'absent', reason: 'No adapter.'});");
    expect(of(devices.list(), 'webgpu')).toMatchObject({ state: 'probing', speed: null, reason: null });
    expect(devices.inUse).toBe('cpu');
    expect(of(await devices.tried(), 'webgpu')).toMatchObject({ state: 'absent', reason: 'No adapter.' });
    expect(changes()).toBe(4);
  });

  test('ends with whoever asked for it', async () => {
    const { devices } = played('for (;;);');
    const entries = devices.tried();
    setTimeout(() => devices.close(), 100);
    expect(of(await entries, 'cpu')).toMatchObject({ state: 'ready', chosen: true });
  });
});

describe('The choice', () => {
  test('by itself is the fastest device that passed, and the processor where none is faster', async () => {
    const fast = played("say({state: 'ready', speed: device === 'cuda' ? 9 : 3, error: 0});").devices;
    expect(await fast.resolve('auto')).toBe(process.platform === 'darwin' ? 'webgpu' : 'cuda');
    expect(fast.speed).toBeGreaterThan(1);
    const slow = played("say({state: 'ready', speed: 0.01, error: 0});").devices;
    expect(await slow.resolve('auto')).toBe('cpu');
    expect(slow.speed).toBe(1);
  });

  test('by hand stands even where it is slower, is kept, and is taken back', async () => {
    const { devices, kept } = played("say({state: 'ready', speed: 0.5, error: 0});");
    await devices.choose('webgpu');
    expect([devices.choice, devices.inUse, devices.speed]).toEqual(['webgpu', 'webgpu', 0.5]);
    expect(kept.get('device')).toBe('webgpu');
    await devices.choose('auto');
    expect(devices.inUse).toBe('cpu');
  });

  test('of a device that failed is refused after one more try, and leaves the one before', async () => {
    const { devices } = played('process.exit(1);');
    await devices.choose('cpu');
    expect((await refusal(devices.choose('webgpu')))?.code).toBe('device-unavailable');
    expect(devices.choice).toBe('cpu');
    const flag = join(dir, 'repaired');
    const repaired = played(`import { existsSync } from 'node:fs';
      if (!existsSync(${JSON.stringify(flag)})) process.exit(1);
      say({state: 'ready', speed: 2, error: 0});`).devices;
    await repaired.tried();
    writeFileSync(flag, '');
    await repaired.choose('webgpu');
    expect(repaired.inUse).toBe('webgpu');
  });

  test('that another machine made and this one cannot keep means the processor, and the status says so', async () => {
    const { devices, kept } = played("say({state: 'absent', reason: 'No adapter'});");
    kept.set('device', 'webgpu');
    expect(await devices.resolve()).toBe('cpu');
    expect([devices.choice, devices.inUse]).toEqual(['webgpu', 'cpu']);
  });
});

test('A project says what it computes on, and tries nothing for it', async () => {
  const project = await Project.create(join(dir, 'project'), { classes: ['a', 'b'] }, { resume: false });
  expect(project.status()).toMatchObject({ device: 'cpu', deviceChoice: 'auto', deviceSpeed: 1 });
  await project.devices.choose('cpu');
  expect(project.status()).toMatchObject({ device: 'cpu', deviceChoice: 'cpu' });
  await project.close();
});
