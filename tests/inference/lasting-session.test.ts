/** Work goes on on the processor where a device gives up, and the session says where it is. */
import { describe, expect, test } from 'vitest';
import type { RealDevice } from '../../main/domain/device.ts';
import { EngineError, type ErrorCode } from '../../main/domain/errors.ts';
import { openSession, tensor, type Session, type SessionOptions } from '../../main/inference/index.ts';
import { openLastingSession } from '../../main/inference/lasting-session.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';

/** y = 2x */
function doubling(): Uint8Array {
  const g = new GraphBuilder();
  g.output('y', 'float32', ['n'], g.node('Mul', [g.input('x', 'float32', ['n']), g.scalar(2)]));
  return g.toModel();
}

const x = tensor(Float32Array.of(1, 2), [2]);
const given = (code: ErrorCode) => new EngineError(code, 'It gave up.', 'Go on.');

/** The processor in the part of a graphics device: its runs go through `fate`, which counts from 1. */
function posing(fate: (run: number, y: Float32Array) => void, opens = true) {
  const opened: RealDevice[] = [];
  const open = async (bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> => {
    const device = options.device === 'webgpu' ? 'webgpu' : 'cpu';
    opened.push(device);
    const session = await openSession(bytes, { device: 'cpu', threads: 1 });
    if (device === 'cpu') return session;
    if (!opens) throw given('device-unavailable');
    let runs = 0;
    const run: Session['run'] = async (feeds, wanted) => {
      const outputs = await session.run(feeds, wanted);
      fate(++runs, outputs.y.data as Float32Array);
      return outputs;
    };
    return { ...session, device, run };
  };
  return { open, opened };
}

const resultOf = async (session: Session) => (await session.run({ x })).y.data;
const right = Float32Array.of(2, 4);

describe('A lasting session', () => {
  test('stays on a device that computes as the processor does, and asks that only once', async () => {
    const { open, opened } = posing((_run, y) => (y[0] += 1e-3));
    const session = await openLastingSession(doubling(), { device: 'webgpu' }, open);
    expect(await resultOf(session)).toEqual(right); // of the processor
    expect(await resultOf(session)).toEqual(Float32Array.of(2.001, 4)); // of the device
    expect(session.device).toBe('webgpu');
    expect(opened).toEqual(['webgpu', 'cpu']);
    await session.close();
  });

  test('leaves one whose numbers are elsewhere, or no numbers', async () => {
    for (const wrong of [2.1, NaN]) {
      const { open } = posing((_run, y) => (y[0] = wrong));
      const session = await openLastingSession(doubling(), { device: 'webgpu' }, open);
      expect(await resultOf(session)).toEqual(right);
      expect(session.device).toBe('cpu');
      expect(await resultOf(session)).toEqual(right);
      await session.close();
    }
  });

  test('goes on where the device cannot be opened, is lost or has no memory left', async () => {
    const absent = await openLastingSession(doubling(), { device: 'webgpu' }, posing(() => {}, false).open);
    expect([absent.device, await resultOf(absent)]).toEqual(['cpu', right]);
    await absent.close();
    for (const code of ['device-lost', 'out-of-memory'] as const) {
      const { open } = posing((run) => {
        if (run === 2) throw given(code);
      });
      const session = await openLastingSession(doubling(), { device: 'webgpu' }, open);
      await session.run({ x });
      expect(session.device).toBe('webgpu');
      expect(await resultOf(session)).toEqual(right);
      expect(session.device).toBe('cpu');
      await session.close();
    }
  });

  test('hands on what is not the device’s fault', async () => {
    const { open } = posing(() => {
      throw given('encoder-invalid');
    });
    const session = await openLastingSession(doubling(), { device: 'webgpu' }, open);
    await expect(session.run({ x })).rejects.toMatchObject({ code: 'encoder-invalid' });
    await session.close();
  });
});
