/** Opens a session as the product does (`ours`), or as the package alone does, and waits a moment for what it does in the background. */
import { plain } from './crafted.ts';

if (process.argv[2] === 'ours') {
  const { openSession } = await import('../../main/inference/index.ts');
  await (await openSession(plain())).close();
} else {
  const ort = await import('onnxruntime-node');
  await (await ort.InferenceSession.create(plain())).release();
}
await new Promise((resolve) => setTimeout(resolve, 300));
