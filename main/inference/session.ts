/**
 * Runs ONNX models in ONNX Runtime. A model is opened from bytes, never from a path, so
 * that nothing beside it can be read. `run` blocks this thread while the model computes:
 * callers are in the compute process, in small batches. A device that cannot be had is
 * refused, never silently replaced; single operators that it does not know ONNX Runtime
 * runs on the processor, unless `whole` forbids it. Which device is fast and sound is not
 * known here: that is probed elsewhere, so 'auto' means the processor.
 */
import { ort } from './runtime.ts';
import type { Device, RealDevice } from '../domain/device.ts';
import { EngineError } from '../domain/errors.ts';
import { readModel, type OnnxModel } from '../onnx/index.ts';

export interface SessionOptions {
  /** Default: the processor. */
  device?: Device;
  /** Processor threads within one operator; default: as many as ONNX Runtime finds cores. */
  threads?: number;
  /** Refuses a model of which the device cannot run every operator; otherwise these run on the processor. */
  whole?: boolean;
}

/** Input or output of a run, as ONNX Runtime holds it; made without copying by `tensor`. */
export type Tensor = ort.Tensor;
export type Feeds = Record<string, Tensor>;

/** An opened model. `close` it: its memory is not the garbage collector's. */
export interface Session {
  readonly model: Pick<OnnxModel, 'inputs' | 'outputs' | 'opset' | 'metadata'>;
  /** Where it runs, but for single operators that this device does not know. */
  readonly device: RealDevice;
  /** Computes the wanted outputs (default: all). Errors: `encoder-invalid` where the model cannot take these inputs, `out-of-memory`, `device-lost`. */
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

/** Opens a model. Errors: `encoder-invalid` for what ONNX Runtime cannot load, `device-unavailable`, `out-of-memory`, `device-lost`. */
export async function openSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const asked = options.device ?? 'auto';
  const device = asked === 'auto' ? 'cpu' : asked;
  if (!ort.listSupportedBackends().some(({ name }) => name === device))
    throw unavailable(device, 'There is none on this kind of system.');
  const { inputs, outputs, opset, metadata } = readModel(bytes);
  const disable = options.whole && device !== 'cpu' ? { disable_cpu_ep_fallback: '1' } : {};
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(bytes, {
      executionProviders: [device],
      ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
      // Shapes change from batch to batch, and other processes share the cores. DirectML requires the former.
      enableMemPattern: false,
      // The format that was looked through, whatever the first bytes say: ONNX Runtime guesses by them.
      extra: { session: { load_model_format: 'ONNX', intra_op: { allow_spinning: '0' }, ...disable } },
      logSeverityLevel: 3,
    });
  } catch (cause) {
    if (device !== 'cpu' && NO_DEVICE.test(textOf(cause))) throw unavailable(device, textOf(cause), cause);
    throw explainRunError(cause, device, 'The model cannot be loaded');
  }
  return {
    model: { inputs, outputs, opset, metadata },
    device,
    async run(feeds, wanted) {
      try {
        return await (wanted ? session.run(feeds, wanted) : session.run(feeds));
      } catch (cause) {
        throw explainRunError(cause, device);
      }
    },
    close: () => session.release(),
  };
}

/** What ONNX Runtime says where a provider is built in but its libraries or its device are not there. */
const NO_DEVICE = anyOf(
  /backend not found/,
  /failed to load shared library/,
  /failed to get a WebGPU (adapter|device)/,
  /no CUDA-capable device|CUDA driver version is insufficient/,
  /DXGI_ERROR_UNSUPPORTED|887A0004/,
);

/** What providers say when the device went away or does not answer any more: the process has to open everything anew. */
const LOST = anyOf(
  /device (is |was )?lost|\] is lost|DEVICE_LOST/, // WebGPU, Vulkan
  /DXGI_ERROR_(DEVICE_(REMOVED|HUNG|RESET)|DRIVER_INTERNAL_ERROR)|887A00(05|06|07|20)/, // Direct3D 12
  /device instance has been suspended|GPU will not respond to more commands/,
  /CUDA (failure|error)\b.*(illegal (memory access|instruction|address)|launch (failure|timed out)|misaligned|assert|ECC)/,
  /cudaError(IllegalAddress|LaunchFailure|LaunchTimeout|ECCUncorrectable|DevicesUnavailable)/,
);

/** What they say when a tensor could not be had. */
const OUT_OF_MEMORY = anyOf(
  /failed to allocate memory|out of memory|not enough memory|bad_alloc|bad allocation/,
  /tensor storage size overflowed|narrowing_error/, // more than addresses can count
  /8007000E|OUT_OF_(DEVICE_|HOST_)?MEMORY|cudaErrorMemoryAllocation|_STATUS_ALLOC_FAILED/,
  /\[Invalid Buffer/, // WebGPU tells of a buffer that it could not make only when it is used
  /allocation size too large|exceeds the max buffer size/,
);

function anyOf(...patterns: RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'), 'i');
}

/** Trouble of opening or running a model in words: `device-lost`, `out-of-memory`, or else `encoder-invalid`. */
export function explainRunError(
  cause: unknown,
  device: RealDevice,
  otherwise = 'The model cannot be run on this input',
): EngineError {
  const reason = textOf(cause);
  if (device !== 'cpu' && LOST.test(reason)) {
    return new EngineError(
      'device-lost',
      `The device “${device}” stopped answering while it computed: ${reason}`,
      'Choose the device “cpu” to go on, and update the graphics driver before you try this one again.',
      { device },
      cause,
    );
  }
  if (OUT_OF_MEMORY.test(reason)) {
    return new EngineError(
      'out-of-memory',
      `The memory ${device === 'cpu' ? 'of this machine' : `of the device “${device}”`} did not suffice: ${reason}`,
      'Take a smaller batch or smaller images, or close other programs.',
      { device },
      cause,
    );
  }
  return new EngineError(
    'encoder-invalid',
    `${otherwise}: ${reason}`,
    'Choose another model, or export this one again with standard operators and free batch size.',
    { device },
    cause,
  );
}

function unavailable(device: RealDevice, reason: string, cause?: unknown): EngineError {
  return new EngineError(
    'device-unavailable',
    `The device “${device}” cannot be used here: ${reason}`,
    'Choose the device “auto” or “cpu”.',
    { device, reason },
    cause,
  );
}

/** What ONNX Runtime says, without the place in its source and the condition that failed there. */
const textOf = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/^\S+:\d+ .* was false\. /, '').trim();
