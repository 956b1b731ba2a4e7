/**
 * Where models run: what cannot be had is refused by name, what providers say about memory
 * and lost devices is understood (texts as reports to ONNX Runtime quote them), and a
 * graphics device played by software computes what the processor computes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { RealDevice } from '../../main/domain/device.ts';
import { EngineError } from '../../main/domain/errors.ts';
import { explainRunError, openSession, tensor } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CASES = fileURLToPath(new URL('../../../shared/fixtures/gradients/', import.meta.url));

/** Vulkan played by software, where Debian's, Ubuntu's and others' Chromium and Chrome put it. */
const SOFTWARE_VULKAN = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
]
  .map((folder) => `${folder}/vk_swiftshader_icd.json`)
  .find((file) => existsSync(file));

/** A program of ours on the software device: a driver that crashes ends it, not the tests. */
function onSoftwareVulkan(...args: string[]) {
  const env = { ...process.env, VK_DRIVER_FILES: SOFTWARE_VULKAN };
  const { status, signal, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  return { status, signal, answers: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const codeOf = (text: string, device: RealDevice) => explainRunError(new Error(text), device).code;

async function errorOf(work: Promise<unknown>): Promise<EngineError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof EngineError) return error;
  throw new Error(`expected an EngineError, got ${String(error)}`);
}

/** y = the sum of x spread to `shape`: as much memory as the shape asks for. */
function spreading(): Uint8Array {
  const g = new GraphBuilder();
  const spread = g.node('Expand', [g.input('x', 'float32', [1]), g.input('shape', 'int64', [1])]);
  g.output('y', 'float32', [1], g.node('ReduceSum', [spread]));
  return g.toModel();
}

describe('A session', () => {
  test('is on the device that was asked for, and on the processor by default', async () => {
    for (const device of [undefined, 'auto', 'cpu'] as const) {
      const session = await openSession(spreading(), { device, threads: 1 });
      expect(session.device).toBe('cpu');
      const { y } = await session.run({
        x: tensor(Float32Array.of(2), [1]),
        shape: tensor(BigInt64Array.of(3n), [1]),
      });
      expect(y.data).toEqual(Float32Array.of(6));
      await session.close();
    }
  });

  test('refuses a device that this machine cannot have, and names it', async () => {
    const foreign: RealDevice = process.platform === 'darwin' ? 'dml' : 'coreml';
    const error = await errorOf(openSession(spreading(), { device: foreign }));
    expect(error).toMatchObject({ code: 'device-unavailable', context: { device: foreign } });
  });

  test('that needs more memory than there is says so, and goes on', async () => {
    const session = await openSession(spreading(), { device: 'cpu', threads: 1 });
    const x = tensor(Float32Array.of(1), [1]);
    for (const size of [2n ** 40n, 2n ** 62n]) {
      const error = await errorOf(session.run({ x, shape: tensor(BigInt64Array.of(size), [1]) }));
      expect(error).toMatchObject({ code: 'out-of-memory', context: { device: 'cpu' } });
    }
    const { y } = await session.run({ x, shape: tensor(BigInt64Array.of(5n), [1]) });
    expect(y.data).toEqual(Float32Array.of(5));
    await session.close();
  });
});

/** Device, where it was read and the text: issues and pull requests of microsoft/onnxruntime where only a number stands. */
const OUT_OF_MEMORY: [RealDevice, string, string][] = [
  [
    'cpu',
    'onnxruntime-node 1.30',
    "Non-zero status code returned while running Expand node. Name:'expand_0' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 4398046511104",
  ],
  ['cpu', '#1725', 'std::bad_alloc'],
  [
    'cpu',
    '#16305',
    "Non-zero status code returned while running FusedMatMul node. Name:'MatMul_With_Transpose_token_14_FusedMatMulAndScale' Status Message: bad allocation",
  ],
  [
    'cuda',
    '#16307',
    'Non-zero status code returned while running ReduceSum node. onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 939524096',
  ],
  [
    'dml',
    'huggingface/diffusers#552',
    'D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\MLOperatorAuthorImpl.cpp(1978)\\onnxruntime_pybind11_state.pyd!00007FFBDC8EBB9F: (caller: 00007FFBDCFFDEFF) Exception(3) tid(4304) 8007000E Not enough memory resources are available to complete this operation.',
  ],
  ['webgpu', '#25195', 'WebGPU device error(2): Out of memory'],
  ['webgpu', '#25195', 'Buffer size (3185049600) exceeds the max buffer size limit (1073741824)'],
  ['webgpu', 'mlc-ai/web-llm#60', 'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY'],
  [
    'webgpu',
    'onnxruntime-node 1.30 with 4 GB wanted of a device whose buffers end at 1 GB',
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[1] against { binding: 1, visibility: ShaderStage::Compute, buffer: {type: BufferBindingType::Storage, minBindingSize: 0, hasDynamicOffset: 0} }.',
  ],
  [
    'webgpu',
    'kessler/gemma-gem#1',
    "status == wgpu::MapAsyncStatus::Success was false. Failed to download data from buffer: Failed to execute 'mapAsync' on 'GPUBuffer': [Invalid Buffer (unlabeled)] is invalid due to a previous error.",
  ],
];

const LOST: [RealDevice, string, string][] = [
  [
    'dml',
    '#22700',
    'D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\ExecutionProvider.cpp(962)\\onnxruntime_pybind11_state.pyd!00007FFABA30B0B1: (caller: 00007FFABA30B740) Exception(3) tid(5a68) 887A0005 The GPU device instance has been suspended. Use GetDeviceRemovedReason to determine the appropriate action.',
  ],
  [
    'dml',
    '#28495',
    'DmlGraphFusionHelper.cpp(1078) ... 887A0006 The GPU will not respond to more commands, most likely because of an invalid command passed by the calling application.',
  ],
  [
    'webgpu',
    'mlc-ai/web-llm#22',
    'D3D12 create command queue failed with DXGI_ERROR_DEVICE_REMOVED (0x887A0005) at CheckHRESULTImpl (..\\..\\third_party\\dawn\\src\\dawn\\native\\d3d\\D3DError.cpp:94)',
  ],
  ['webgpu', 'playcanvas/engine#6677', "Failed to execute 'mapAsync' on 'GPUBuffer': Device is lost"],
  [
    'cuda',
    '#5295',
    'CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=hemantj-X299-A ; expr=cudaMemcpy(dst_data, src_data, bytes, cudaMemcpyHostToDevice);',
  ],
  [
    'cuda',
    '#2963',
    'CUDA failure 77: an illegal memory access was encountered ; GPU=0 ; expr=cudaEventDestroy(read_event_);',
  ],
];

/** What is neither: the model or its input is to blame. */
const OTHER: [RealDevice, string, string][] = [
  ['cuda', '#4008', 'CUDA error executing cudaMemcpy(dst_data, src_data, bytes, cudaMemcpyDeviceToHost)'],
  ['webgpu', '#32257', 'BufferManager::Download ... Failed to wait for the operation:3'],
  [
    'cpu',
    'onnxruntime-node 1.30',
    'Got invalid dimensions for input: x for the following indices\n index: 1 Got: 3 Expected: 4',
  ],
];

describe('What a provider says', () => {
  test.each(OUT_OF_MEMORY)('is out-of-memory (%s, read in %s)', (device, _where, text) => {
    expect(codeOf(text, device)).toBe('out-of-memory');
  });

  test.each(LOST)('is device-lost (%s, read in %s)', (device, _where, text) => {
    expect(codeOf(text, device)).toBe('device-lost');
  });

  test.each(OTHER)('is neither (%s, read in %s)', (device, _where, text) => {
    expect(codeOf(text, device)).toBe('encoder-invalid');
  });

  test('keeps the cause, and the processor is never lost', () => {
    const cause = new Error('Device is lost');
    expect(explainRunError(cause, 'webgpu').cause).toBe(cause);
    expect(explainRunError(cause, 'cpu').code).toBe('encoder-invalid');
  });
});

describe.skipIf(SOFTWARE_VULKAN === undefined)('WebGPU, played by software', () => {
  // Nearly all of the time is the compilation of shaders.
  test('passes its trial', { timeout: 120_000 }, () => {
    const { status, answers } = onSoftwareVulkan('main/device-probe.ts', 'webgpu');
    expect(status).toBe(0);
    expect(answers).toEqual([
      { state: 'ready', speed: expect.any(Number) as number, error: expect.any(Number) as number },
    ]);
    expect(answers[0].error).toBeLessThan(1e-4);
  });

  test('says where memory runs out, and goes on', { timeout: 120_000 }, () => {
    const { status, answers } = onSoftwareVulkan('tests/inference/shortage.child.ts');
    const short = { code: 'out-of-memory' };
    expect([status, answers]).toEqual([0, [{ y: 1000 }, short, short, { y: 1000 }]]);
  });

  test.skipIf(!existsSync(CASES))(
    'agrees with the processor to 1e-2 on the reference networks: gradients, losses, weights after two steps',
    { timeout: 300_000 },
    () => {
      const { status, signal, answers } = onSoftwareVulkan(
        'hosts/check-gradients.ts',
        CASES,
        '--device',
        'webgpu',
        '--against',
        'cpu',
        '--steps',
        '2',
      );
      expect(answers.filter(({ ok }) => ok !== true)).toEqual([]);
      expect(answers.map((answer) => answer.case)).toEqual([
        'bert',
        'bert-tokens',
        'cnn',
        'mobilenet',
        'resnet',
        'unet',
        'vit',
      ]);
      expect([status, signal]).toEqual([0, null]);
    },
  );
});
