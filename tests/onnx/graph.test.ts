import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  type ModelProto,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from 'onnx-buf';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  float,
  GraphBuilder,
  makeTensor,
  readModel,
  tensorData,
  withMetadata,
  writeModel,
} from '../../main/onnx/index.ts';

async function run(model: Uint8Array, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(model);
  const outputs = await session.run(feeds);
  const values = Object.entries(outputs).map(([name, t]) => [name, Array.from(t.data as Float32Array)]);
  await session.release();
  return Object.fromEntries(values);
}

const vector = (...values: number[]) => new ort.Tensor('float32', Float32Array.from(values), [1, values.length]);

/** y = x·W + b and twice = 2·x·W, with W = [[1, 2], [3, 4]], b = [10, 20]. */
function affine(opset?: number): Uint8Array {
  const g = new GraphBuilder('affine', { opset });
  const x = g.input('x', 'float32', ['n', 2]);
  const product = g.node('MatMul', [x, g.constant(Float32Array.of(1, 2, 3, 4), [2, 2], 'w')]);
  g.output('y', 'float32', ['n', 2], g.node('Add', [product, g.constant(Float32Array.of(10, 20), [2], 'b')]));
  g.output('twice', 'float32', ['n', 2], g.node('Mul', [product, g.scalar(2)]));
  return g.toModel({ what: 'affine' });
}

it('Tensors of a model read from a piece of a pooled Buffer are their own bytes, not the pool’s', () => {
  const model = affine();
  const pool = Buffer.alloc(model.length + 100_003, 0xff);
  pool.set(model, 100_003);
  const { graph } = readModel(pool.subarray(100_003));
  const weights = graph.initializer.find((tensor) => tensor.name === 'w');
  expect(weights && Array.from(tensorData(weights) as Float32Array)).toEqual([1, 2, 3, 4]);
});

describe('a built graph', () => {
  it('runs in ONNX Runtime and gives the numbers worked by hand', async () => {
    expect(await run(affine(), { x: vector(1, 1) })).toEqual({ y: [14, 26], twice: [8, 12] });
  });

  it('describes its inputs, outputs, opset and metadata when read back', () => {
    const model = readModel(affine());
    expect(model.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['n', 2] }]);
    expect(model.outputs.map((output) => output.name)).toEqual(['y', 'twice']);
    expect(model.opset).toBe(17);
    expect(model.metadata).toEqual({ what: 'affine' });
  });

  it('has the same bytes when built again', () => {
    expect(affine()).toEqual(affine());
  });

  it('carries float16 weights, cast where they are used', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', ['n', 2]);
    const half = g.constant(Float16Array.of(0.5, -1.25), [2, 1]);
    g.output('y', 'float32', ['n', 1], g.node('MatMul', [x, g.node('Cast', [half], { to: 1 })]));
    expect(await run(g.toModel(), { x: vector(4, 2) })).toEqual({ y: [-0.5] });
  });

  it('keeps an attribute marked as a float a float, even when it is whole', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', ['n', 2]);
    g.output('y', 'float32', ['n', 2], g.node('LeakyRelu', [x], { alpha: float(2) }));
    expect(await run(g.toModel(), { x: vector(-1, 3) })).toEqual({ y: [-2, 3] });
  });

  it('refuses a node that reads what does not exist, and a fraction that is not marked', () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', [1]);
    expect(() => g.node('Add', [x, 'y'])).toThrow(/input of Add to exist/);
    expect(() => g.node('LeakyRelu', [x], { alpha: 0.5 })).toThrow(/marked by float/);
    expect(() => g.input('x', 'float32', [1])).toThrow(/still free/);
  });
});

describe('joining models', () => {
  it('feeds one copy of a model with the output of another', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', 'float32', ['n', 2]);
    const once = g.inline(affine(), { x });
    const again = g.inline(affine(), { x: once.y });
    g.output('z', 'float32', ['n', 2], again.y);
    // [14, 26]·W + b = [14 + 78 + 10, 28 + 104 + 20]
    expect(await run(g.toModel(), { x: vector(1, 1) })).toEqual({ z: [102, 152] });
  });

  it('writes a large constant that several models bring along once, and keeps apart what one model keeps apart', async () => {
    const table = (value: number) => {
      const g = new GraphBuilder('table');
      const at = g.input('at', 'int64', ['n']);
      const rows = ['first', 'second'].map((name) =>
        g.node('Gather', [g.constant(new Float32Array(2000).fill(7), [1000, 2], name), at]),
      );
      const own = g.node('Gather', [g.constant(new Float32Array(2000).fill(value), [1000, 2], 'own'), at]);
      g.output('y', 'float32', ['n', 2], g.node('Add', [g.node('Add', rows), own]));
      return g.toModel();
    };
    const g = new GraphBuilder();
    const at = g.input('at', 'int64', ['n']);
    const [one, other] = [1, 2].map((value) => g.inline(table(value), { at }).y);
    g.output('z', 'float32', ['n', 2], g.node('Sub', [other, one]));
    const model = g.toModel();
    expect(readModel(model).graph.initializer).toHaveLength(4);
    expect((await run(model, { at: new ort.Tensor('int64', [3n], [1]) })).z).toEqual([1, 1]);
  });

  it('takes only what the wanted outputs need', () => {
    const g = new GraphBuilder();
    const joined = g.inline(affine(), { x: g.input('x', 'float32', ['n', 2]) }, ['twice']);
    g.output('z', 'float32', ['n', 2], joined.twice);
    const names = readModel(g.toModel()).graph.initializer.map((tensor) => tensor.name);
    expect(names.some((name) => name.endsWith('/b'))).toBe(false);
    expect(names.some((name) => name.endsWith('/w'))).toBe(true);
  });

  it('joins across opsets where every operator means the same, and says why not elsewhere', async () => {
    const g = new GraphBuilder('newer', { opset: 20 });
    const joined = g.inline(affine(13), { x: g.input('x', 'float32', ['n', 2]) });
    g.output('z', 'float32', ['n', 2], joined.y);
    expect(await run(g.toModel(), { x: vector(1, 1) })).toEqual({ z: [14, 26] });

    const older = new GraphBuilder('older', { opset: 13 });
    const x = older.input('x', 'float32', ['n', 2]);
    older.output('y', 'float32', ['n', 1], older.node('ReduceMean', [x], { axes: [1] }));
    const into = new GraphBuilder('newer', { opset: 20 });
    expect(() => into.inline(older.toModel(), { x: into.input('x', 'float32', ['n', 2]) })).toThrow(/opset 13/);
  });

  it('renames inside subgraphs too', async () => {
    const inner = (name: string, value: number) => {
      const b = new GraphBuilder(name);
      b.output(`${name}_y`, 'float32', [1], b.constant(Float32Array.of(value), [1], `${name}_c`));
      return readModel(b.toModel()).graph;
    };
    const model = readModel(affine());
    const node = create(NodeProtoSchema, {
      name: 'choose',
      opType: 'If',
      input: ['positive'],
      output: ['chosen'],
      attribute: [
        create(AttributeProtoSchema, { name: 'then_branch', type: 5, g: inner('then', 1) }),
        create(AttributeProtoSchema, { name: 'else_branch', type: 5, g: inner('else', -1) }),
      ],
    });
    const g = new GraphBuilder('condition');
    const x = g.input('x', 'float32', ['n', 2]);
    const first = g.node('Squeeze', [
      g.node('Slice', [g.node('Flatten', [x], { axis: 0 }), g.ints(0), g.ints(1), g.ints(1)]),
    ]);
    g.output('positive', 'bool', [], g.node('Greater', [first, g.scalar(0)]));
    const whole: ModelProto = readModel(g.toModel()).proto;
    whole.graph!.node.push(node);
    whole.graph!.output = [{ ...model.graph.output[0], name: 'chosen' }];
    const joined = new GraphBuilder();
    const z = joined.input('z', 'float32', ['n', 2]);
    joined.output('sign', 'float32', [1], joined.inline(writeModel(whole), { x: z }).chosen);
    const bytes = joined.toModel();
    expect((await run(bytes, { z: vector(3, 0) })).sign).toEqual([1]);
    expect((await run(bytes, { z: vector(-3, 0) })).sign).toEqual([-1]);
  });
});

describe('reading', () => {
  it('gives back the values of a constant, raw or in typed fields', () => {
    expect(tensorData(makeTensor('t', Float32Array.of(1.5, 2)))).toEqual(Float32Array.of(1.5, 2));
    expect(tensorData(makeTensor('t', BigInt64Array.of(-3n)))).toEqual(BigInt64Array.of(-3n));
    const typed = create(TensorProtoSchema, { dataType: TensorProto_DataType.FLOAT, dims: [2n], floatData: [1, 2] });
    expect(tensorData(typed)).toEqual(Float32Array.of(1, 2));
    const text = create(TensorProtoSchema, { name: 's', dataType: TensorProto_DataType.STRING, dims: [1n] });
    expect(() => tensorData(text)).toThrow(expect.objectContaining({ code: 'encoder-invalid' }));
  });

  it('replaces metadata and leaves the graph as it was', async () => {
    const changed = withMetadata(affine(), { what: 'changed', more: 'yes' });
    expect(readModel(changed).metadata).toEqual({ what: 'changed', more: 'yes' });
    expect((await run(changed, { x: vector(1, 1) })).y).toEqual([14, 26]);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', new TextEncoder().encode('not a model at all')],
    ['a model cut short', affine().slice(0, 40)],
  ])('refuses %s as no ONNX model', (_, bytes) => {
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: 'encoder-invalid' }));
  });

  it('refuses data in other files wherever the pointer hides', () => {
    const elsewhere = (tensor: TensorProto) => {
      tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
      tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: '/etc/passwd' })];
      return tensor;
    };
    const refused = expect.objectContaining({
      code: 'encoder-invalid',
      message: expect.stringContaining('another file'),
    });

    const initializer = readModel(affine()).proto;
    elsewhere(initializer.graph!.initializer[0]);
    expect(() => readModel(writeModel(initializer))).toThrow(refused);

    const attribute = readModel(affine()).proto;
    const value = create(AttributeProtoSchema, {
      name: 'value',
      type: 4,
      t: elsewhere(makeTensor('t', Float32Array.of(1))),
    });
    attribute.graph!.node[0].attribute.push(value);
    expect(() => readModel(writeModel(attribute))).toThrow(refused);

    const subgraph = readModel(affine()).proto;
    const branch = readModel(affine()).graph;
    elsewhere(branch.initializer[0]);
    subgraph.graph!.node[0].attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: 5, g: branch }));
    expect(() => readModel(writeModel(subgraph))).toThrow(refused);
  });
});
