/**
 * What happens without the guards, for the tests to see that they would notice:
 * `reads`: a model whose weights lie in canary.bin, given to ONNX Runtime without being
 * looked through; prints what comes out as text. `hangs`: an endless model in a trial
 * without limits; prints the trial's process id and waits.
 */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import type { Request } from '../../main/encoder-trial-child.ts';
import { endless, elsewhere, withInitializer } from './crafted.ts';

async function reads(): Promise<void> {
  writeFileSync('canary.bin', 'SECRET'.repeat(32));
  existsSync('/BEGIN');
  const session = await ort.InferenceSession.create(withInitializer(elsewhere('canary.bin')), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  });
  const { y } = await session.run({ pixels: new ort.Tensor('float32', new Float32Array(48), [1, 3, 4, 4]) });
  const values = y.data as Float32Array;
  console.log(Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString());
}

function hangs(): void {
  const bytes = endless();
  const limits = { stuckMs: 1e9, lifeMs: 1e9, memoryBytes: 2 ** 40 };
  const feeds = [{ name: 'pixels', dtype: 'float32' as const, dims: [2, 3, 4, 4], fill: 0 }];
  const request: Request = { kind: 'model', sizeBytes: bytes.length, limits, feeds };
  const entry = fileURLToPath(new URL('../../main/encoder-trial-child.ts', import.meta.url));
  const child = spawn(process.execPath, [entry], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.write(`${JSON.stringify(request)}\n`);
  child.stdin.end(bytes);
  console.log(child.pid);
  child.on('exit', () => process.exit(0));
}

if (process.argv[2] === 'reads') await reads();
else hangs();
