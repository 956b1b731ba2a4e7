/**
 * A session for work that has to end: it runs on the wanted device while that can be relied
 * on, and goes on on the processor where it cannot. Trials know few operators, so the first
 * run of a model is also done on the processor and compared; a device that is lost, out of
 * memory or elsewhere with its numbers is given up for this session. `device` always tells.
 */
import type { RealDevice } from '../domain/device.ts';
import { EngineError, type ErrorCode } from '../domain/errors.ts';
import { openSession, type Feeds, type Session, type SessionOptions, type Tensor } from './session.ts';

/** Relative to the largest magnitude in the output. */
const TOLERANCE = 1e-2;
const GIVEN_UP = new Set<ErrorCode>(['device-unavailable', 'device-lost', 'out-of-memory']);

type Outputs = Record<string, Tensor>;

/** Opens a model like `openSession`, with the processor as the second choice. Errors: as there, of the processor. */
export async function openLastingSession(
  bytes: Uint8Array,
  options: SessionOptions = {},
  open: typeof openSession = openSession,
): Promise<Session> {
  const onProcessor = () => open(bytes, { ...options, device: 'cpu' });
  let session = (await unlessGivenUp(open(bytes, options))) ?? (await onProcessor());
  let isTrusted = session.device === 'cpu';
  const replace = async (other: Session) => {
    await unlessGivenUp(session.close());
    session = other;
    isTrusted = true;
  };
  return {
    get model() {
      return session.model;
    },
    get device(): RealDevice {
      return session.device;
    },
    async run(feeds: Feeds, wanted?: readonly string[]): Promise<Outputs> {
      if (session.device === 'cpu') return session.run(feeds, wanted);
      const outputs = await unlessGivenUp(session.run(feeds, wanted));
      if (outputs !== null && isTrusted) return outputs;
      const processor = await onProcessor();
      const expected = await processor.run(feeds, wanted);
      if (outputs !== null && isNear(outputs, expected)) {
        isTrusted = true;
        await processor.close();
      } else await replace(processor);
      return expected;
    },
    close: () => session.close(),
  };
}

/** Null where the device gave up. */
async function unlessGivenUp<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof EngineError && GIVEN_UP.has(error.code)) return null;
    throw error;
  }
}

function isNear(got: Outputs, expected: Outputs): boolean {
  return Object.entries(expected).every(([name, { data }]) => {
    if (!(data instanceof Float32Array)) return true;
    const values = got[name].data as Float32Array;
    const limit = TOLERANCE * data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return values.length === data.length && data.every((value, i) => Math.abs(values[i] - value) <= limit);
  });
}
