/**
 * Runs ONNX models in ONNX Runtime. A model is opened from bytes, never from a path, so
 * that nothing beside it can be read. `run` blocks this thread while the model computes:
 * callers are in the compute process, in small batches. The processor is the only device
 * so far; asking for another by name is refused rather than silently replaced.
 */
import * as ort from 'onnxruntime-node';
import { EngineError } from '../domain/errors.ts';
import { readModel, type OnnxModel } from '../onnx/index.ts';

/** Where a model runs. 'auto' takes the best that works here. */
export const DEVICES = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;
export type Device = (typeof DEVICES)[number];

export interface SessionOptions {
  device?: Device;
  /** Processor threads within one operator; default: as many as ONNX Runtime finds cores. */
  threads?: number;
}

/** Input or output of a run, as ONNX Runtime holds it; made without copying by `tensor`. */
export type Tensor = ort.Tensor;
export type Feeds = Record<string, Tensor>;

/** An opened model. `close` it: its memory is not the garbage collector's. */
export interface Session {
  readonly model: Pick<OnnxModel, 'inputs' | 'outputs' | 'opset' | 'metadata'>;
  /** Where it really runs. */
  readonly device: Exclude<Device, 'auto'>;
  /** Computes the wanted outputs (default: all). Errors: `encoder-invalid` where the model cannot take these inputs. */
  run(feeds: Feeds, wanted?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** A tensor over `data` (not copied); the element type follows from the array. */
export function tensor(data: Float32Array | BigInt64Array | Int32Array | Uint8Array, dims: readonly number[]): Tensor {
  if (data instanceof Float32Array) return new ort.Tensor('float32', data, dims);
  if (data instanceof BigInt64Array) return new ort.Tensor('int64', data, dims);
  if (data instanceof Int32Array) return new ort.Tensor('int32', data, dims);
  return new ort.Tensor('uint8', data, dims);
}

/** Opens a model. Errors: `encoder-invalid` for what ONNX Runtime cannot load, `device-unavailable`. */
export async function openSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const device = options.device ?? 'auto';
  if (device !== 'auto' && device !== 'cpu') {
    throw new EngineError(
      'device-unavailable',
      `Models cannot run on “${device}” here yet.`,
      'Choose the device “auto” or “cpu”.',
      { device },
    );
  }
  const { inputs, outputs, opset, metadata } = readModel(bytes);
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
      ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
      // Shapes change from batch to batch, and other processes share the cores.
      enableMemPattern: false,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      logSeverityLevel: 3,
    });
  } catch (cause) {
    throw refused('The model cannot be loaded', cause);
  }
  return {
    model: { inputs, outputs, opset, metadata },
    device: 'cpu',
    async run(feeds, wanted) {
      try {
        return await (wanted ? session.run(feeds, wanted) : session.run(feeds));
      } catch (cause) {
        throw refused('The model cannot be run on this input', cause);
      }
    },
    close: () => session.release(),
  };
}

function refused(what: string, cause: unknown): EngineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EngineError(
    'encoder-invalid',
    `${what}: ${reason}`,
    'Choose another model, or export this one again with standard operators and free batch size.',
    {},
    cause,
  );
}
