/**
 * Started on a graphics device by devices.test.ts: asks it for more and more memory and
 * prints, as one JSON line each, what the session answered. y = the sum of x spread to n.
 */
import { EngineError } from '../../main/domain/errors.ts';
import { openSession, tensor } from '../../main/inference/index.ts';
import { GraphBuilder } from '../../main/onnx/index.ts';

const g = new GraphBuilder();
const spread = g.node('Expand', [g.input('x', 'float32', [1]), g.input('n', 'int64', [1])]);
g.output('y', 'float32', [1], g.node('ReduceSum', [g.node('Exp', [spread])]));

const session = await openSession(g.toModel(), { device: 'webgpu' });
for (const n of [1000n, 10n ** 9n, 2n ** 40n, 1000n]) {
  try {
    const feeds = { x: tensor(Float32Array.of(0), [1]), n: tensor(BigInt64Array.of(n), [1]) };
    const { y } = await session.run(feeds);
    console.log(JSON.stringify({ y: (y.data as Float32Array)[0] }));
  } catch (error) {
    console.log(JSON.stringify({ code: error instanceof EngineError ? error.code : String(error) }));
  }
}
await session.close();
