/**
 * Devices through the command line, on a machine whose graphics drivers are hidden: every
 * one is tried and named with its reason, and what asks for one that is not there is
 * refused before any work.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { DEVICES } from '../../main/domain/device.ts';
import { runJson } from '../served-desk.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const work = mkdtempSync(join(tmpdir(), 'marginalia-devices-'));
const project = join(work, 'project');

interface Listed {
  choice: string;
  devices: { device: string; state: string; speed: number | null; reason: string | null; chosen: boolean }[];
}

beforeAll(async () => {
  vi.stubEnv('XDG_CACHE_HOME', work);
  vi.stubEnv('VK_DRIVER_FILES', join(work, 'no-driver.json'));
  await runJson('new', project, '--classes', 'a,b');
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(work, { recursive: true, force: true });
});

test('`devices` tries and lists all of them, and the processor is always ready', async () => {
  const { code, json } = await runJson<Listed>('devices', project);
  expect(code).toBe(0);
  expect(json.choice).toBe('auto');
  expect(json.devices.map(({ device }) => device)).toEqual(DEVICES.filter((device) => device !== 'auto'));
  expect(json.devices[0]).toEqual({ device: 'cpu', state: 'ready', speed: 1, reason: null, chosen: true });
  for (const { state, speed, reason } of json.devices) {
    expect(state).not.toBe('probing');
    expect(speed !== null).toBe(state === 'ready');
    expect(reason === null).toBe(state === 'ready');
  }
});

test.skipIf(process.platform !== 'linux')('A device without a driver is refused wherever it is asked for', async () => {
  for (const command of ['devices', 'train']) {
    const { code, json } = await runJson(command, project, '--device', 'webgpu');
    expect(code).toBe(1);
    expect(json).toMatchObject({ code: 'device-unavailable', context: { device: 'webgpu' } });
    expect(json.message).toMatch(/adapter/i);
  }
  expect((await runJson('train', project, '--device', 'tpu')).code).toBe(2);
});

test('A choice is kept, and the status tells it', async () => {
  expect((await runJson<Listed>('devices', project, '--device', 'cpu')).json.choice).toBe('cpu');
  expect((await runJson('status', project)).json).toMatchObject({ device: 'cpu', deviceChoice: 'cpu', deviceSpeed: 1 });
});
