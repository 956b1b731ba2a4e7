/**
 * How many channels ONNX Runtime's fastest convolutions take together on this processor: 8 or
 * 16, or null where it has no such layout. It does not say; so two pixels of every channel
 * are put into that layout, and the place of the second pixel tells.
 */
import { ort } from './runtime.ts';
import { GraphBuilder } from '../onnx/index.ts';

const CHANNELS = 64;

let known: Promise<number | null> | null = null;

/** Channels in a block, measured once per process (a millisecond): 8, 16, or null where there are no blocks. */
export function blockSize(): Promise<number | null> {
  return (known ??= measure());
}

async function measure(): Promise<number | null> {
  const g = new GraphBuilder('probe');
  const x = g.input('x', 'float32', [1, CHANNELS, 1, 2]);
  const [blocks] = g.nodeWith('ReorderInput', [x], {}, 1, 'com.microsoft.nchwc');
  g.output('y', 'float32', [1, CHANNELS, 1, 2], blocks);
  const numbers = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i);
  try {
    const session = await ort.InferenceSession.create(g.toModel(), { intraOpNumThreads: 1, logSeverityLevel: 4 });
    const { y } = await session.run({ x: new ort.Tensor('float32', numbers, [1, CHANNELS, 1, 2]) });
    await session.release();
    const size = (y.data as Float32Array).indexOf(1);
    return size > 1 ? size : null;
  } catch {
    return null; // this build has no such operator for this processor: the plain layout is meant
  }
}
