/**
 * Matrix products by ONNX Runtime: three tiny graphs, made once per process, that multiply
 * whatever they are given. float32; the same inputs give the same bits on one machine.
 */
import type { Matrix } from '../domain/matrix.ts';
import { ort } from '../inference/index.ts';
import { GraphBuilder } from '../onnx/index.ts';

export type ProductKind = 'a·b' | 'aᵀ·b' | 'a·bᵀ';

const sessions = new Map<ProductKind, Promise<ort.InferenceSession>>();

function sessionFor(kind: ProductKind): Promise<ort.InferenceSession> {
  let session = sessions.get(kind);
  if (!session) {
    const g = new GraphBuilder('product');
    const a = g.input('a', 'float32', ['p', 'q']);
    const b = g.input('b', 'float32', ['r', 's']);
    const attributes = { transA: kind === 'aᵀ·b' ? 1 : 0, transB: kind === 'a·bᵀ' ? 1 : 0 };
    g.output('y', 'float32', ['m', 'n'], g.node('Gemm', [a, b], attributes));
    session = ort.InferenceSession.create(g.toModel(), {
      executionProviders: ['cpu'],
      // Products are short and many: threads that spin between them take the time from everyone else.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    sessions.set(kind, session);
  }
  return session;
}

/** The product of two matrices. Blocks this thread while it runs. */
export async function multiply(kind: ProductKind, a: Matrix, b: Matrix): Promise<Matrix> {
  const rows = kind === 'aᵀ·b' ? a.columns : a.rows;
  const columns = kind === 'a·bᵀ' ? b.rows : b.columns;
  if (rows === 0 || columns === 0 || a.rows === 0 || a.columns === 0) {
    return { data: new Float32Array(rows * columns), rows, columns };
  }
  const session = await sessionFor(kind);
  const { y } = await session.run({
    a: new ort.Tensor('float32', a.data, [a.rows, a.columns]),
    b: new ort.Tensor('float32', b.data, [b.rows, b.columns]),
  });
  return { data: y.data as Float32Array, rows, columns };
}

/** Rows times vectors, as choosing items asks for them. */
export const products = (rows: Matrix, vectors: Matrix): Promise<Matrix> => multiply('a·bᵀ', rows, vectors);
