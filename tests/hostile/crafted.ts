/**
 * Models made to do harm, each in one way, and the code with which each is refused. Made
 * here from code, so that the table says how. Whatever a run with mutants finds becomes a
 * row. All are image encoders of four by four pixels but for what the row changes.
 */
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType as Type,
  TrainingInfoProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import {
  float,
  GraphBuilder,
  makeNode,
  makeTensor,
  makeValueInfo,
  readModel,
  writeModel,
} from '../../main/onnx/index.ts';
import type { ErrorCode } from '../../main/domain/errors.ts';

export interface Crafted {
  name: string;
  bytes: () => Uint8Array;
  /** 'accepted' where it does no harm; several where it depends on the machine's memory. */
  expect: (ErrorCode | 'accepted')[];
  /** In the message. */
  why: RegExp;
  /** Passes the scan; is stopped, refused or found harmless in the trial. */
  runs: boolean;
}

const refused = (name: string, why: RegExp, bytes: () => Uint8Array): Crafted => ({
  ...{ name, bytes, why, expect: ['encoder-invalid'], runs: false },
});
const tried = (name: string, expect: ErrorCode | 'accepted', why: RegExp, bytes: () => Uint8Array): Crafted => ({
  ...{ name, bytes, why, expect: [expect], runs: true },
});
/** The system may refuse the memory, or give it and have the watchdog see it used. */
const greedy = (name: string, bytes: () => Uint8Array): Crafted => ({
  ...{
    name,
    bytes,
    why: /stopped|memory|more than \d+ bytes/,
    expect: ['encoder-invalid', 'out-of-memory'],
    runs: true,
  },
});

/** A model of four by four pixels: 48 numbers, to which `extra` may add one. */
export function plain(
  extra?: (g: GraphBuilder, x: string) => string,
  dims: (string | number)[] = ['n', 3, 4, 4],
): Uint8Array {
  const g = new GraphBuilder('plain');
  const x = g.input('pixels', 'float32', dims);
  const weights = g.constant(new Float32Array(48).fill(0.5), [48], 'weights');
  let y = g.node('Add', [g.node('Flatten', [x]), weights]);
  if (extra) y = g.node('Add', [y, extra(g, x)]);
  g.output('y', 'float32', ['n', 48], y);
  return g.toModel();
}

/** The plain model after a change to what is in it. */
function changed(change: (graph: GraphProto, proto: ModelProto) => void, from = plain()): Uint8Array {
  const { proto, graph } = readModel(from);
  change(graph, proto);
  return writeModel(proto);
}

const entries = (told: Record<string, string>) =>
  Object.entries(told).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));

/** A tensor of 48 numbers that lies elsewhere. */
export function elsewhere(location: string, name = 'weights'): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: Type.FLOAT,
    dims: [48n],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: entries({ location, offset: '0', length: '192' }),
  });
}

const attribute = (name: string, told: Partial<AttributeProto>) =>
  create(AttributeProtoSchema, { name, ...told } as AttributeProto);

const constant = (t: TensorProto): NodeProto => {
  const node = makeNode('Constant', [], ['harm']);
  node.attribute = [attribute('value', { type: Kind.TENSOR, t })];
  return node;
};

const branch = (nodes: NodeProto[], initializer: TensorProto[] = []): GraphProto =>
  create(GraphProtoSchema, {
    name: 'branch',
    node: nodes,
    initializer,
    output: [makeValueInfo('harm', 'float32', [48])],
  });

const ifNode = (graph: GraphProto, output = 'harm'): NodeProto => {
  const node = makeNode('If', ['yes'], [output]);
  node.attribute = ['then_branch', 'else_branch'].map((name) => attribute(name, { type: Kind.GRAPH, g: graph }));
  return node;
};

export const withInitializer = (tensor: TensorProto) => changed((graph) => graph.initializer.splice(0, 1, tensor));

const withNode = (node: NodeProto, domain?: string) =>
  changed((graph, proto) => {
    graph.node.unshift(node);
    if (domain !== undefined) proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: 1n }));
  });

const tensorWith = (told: Partial<TensorProto>) =>
  withInitializer(create(TensorProtoSchema, { name: 'weights', dataType: Type.FLOAT, ...told } as TensorProto));

const withFunction = (nodes: NodeProto[], attributeProto: AttributeProto[] = []) =>
  changed((_, proto) => {
    proto.functions = [
      create(FunctionProtoSchema, {
        name: 'Own',
        domain: 'own',
        input: ['a'],
        output: ['harm'],
        node: nodes,
        attributeProto,
      }),
    ];
  });

const repeating = (opType: 'Loop' | 'Scan') => {
  const node = makeNode(opType, ['trips', 'yes', 'pixels'], ['harm']);
  node.attribute = [attribute('body', { type: Kind.GRAPH, g: branch([makeNode('Identity', ['a'], ['harm'])]) })];
  return withNode(node);
};

/** Bytes of a number as the format writes it. */
export function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return bytes;
}

/** A field of bytes. */
export const field = (number: number, bytes: Uint8Array | number[]): number[] => [
  ...varint(BigInt(number * 8 + 2)),
  ...varint(BigInt(bytes.length)),
  ...bytes,
];

const joined = (...parts: (Uint8Array | number[])[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const text = (words: string) => [...Buffer.from(words)];

/** The fields of a graph that holds one tensor, written by hand. */
const graphWith = (tensor: number[]) => joined(plain(), field(7, field(5, tensor)));

/** Something added to the 48 numbers, by operators alone. */
export const sum = (make: (g: GraphBuilder, x: string) => string) =>
  plain((g, x) => g.node('ReduceSum', [make(g, x)], { keepdims: 0 }));

const chain = (length: number, opType: string) =>
  plain((g, x) => {
    let value = g.node('ReduceSum', [x], { keepdims: 0 });
    for (let i = 0; i < length; i++) value = g.node(opType, [value]);
    return value;
  });

const renamedInput = (name: string) =>
  changed((graph) => {
    graph.input[0].name = name;
    for (const node of graph.node) node.input = node.input.map((input) => (input === 'pixels' ? name : input));
  });

/** As many products of large squares as take hours. */
export const endless = (): Uint8Array =>
  sum((g) => {
    let square = g.node('ConstantOfShape', [g.ints(4096, 4096)]);
    for (let i = 0; i < 5000; i++) square = g.node('MatMul', [square, square]);
    return square;
  });

/** As many values as the size says, each of which is written. */
export const large = (...size: number[]): Uint8Array =>
  sum((g, x) => g.node('Exp', [g.node('Expand', [g.node('ReduceSum', [x]), g.ints(...size)])]));

/** Harmless for a blank image, 400 GB for any other: the size comes from the values. */
const later = () =>
  sum((g, x) => {
    const bright = g.node('Cast', [g.node('Greater', [g.node('ReduceMax', [x], { keepdims: 0 }), g.scalar(0)])], {
      to: 7,
    });
    const size = g.node('Add', [g.node('Mul', [bright, g.ints(10 ** 11)]), g.ints(1)]);
    return g.node('Exp', [g.node('Expand', [g.scalar(1), size])]);
  });

const AFAR = /in another file/;
const WIRE = /not a readable ONNX model/;
const STOPPED = /and was stopped|memory/;

export const CRAFTED: Crafted[] = [
  // data in other files
  refused('weights beside the model', AFAR, () => withInitializer(elsewhere('canary.bin'))),
  refused('weights at an absolute path', AFAR, () => withInitializer(elsewhere('/etc/passwd'))),
  refused('weights in a folder above', AFAR, () => withInitializer(elsewhere('../../etc/passwd'))),
  refused('weights at an address in memory', AFAR, () => withInitializer(elsewhere('*/_ORT_MEM_ADDR_/*'))),
  refused('weights on a share', AFAR, () => withInitializer(elsewhere('\\\\host\\share\\x'))),
  refused('a location without the flag', AFAR, () => withInitializer({ ...elsewhere('canary.bin'), dataLocation: 0 })),
  refused('the flag without a location', AFAR, () => withInitializer({ ...elsewhere(''), externalData: [] })),
  refused('the flag as a number that is cut to it', /twice|does not fit/, () =>
    graphWith([...field(8, text('w')), 0x70, ...varint(2n ** 32n + 1n)]),
  ),
  refused('the flag as text', /twice|form of its own/, () => graphWith([...field(8, text('w')), ...field(14, [1])])),
  refused('a constant elsewhere', AFAR, () => withNode(constant(elsewhere('canary.bin')))),
  refused('a fill value elsewhere', AFAR, () => {
    const node = makeNode('ConstantOfShape', ['weights'], ['harm']);
    node.attribute = [attribute('value', { type: Kind.TENSOR, t: elsewhere('canary.bin') })];
    return withNode(node);
  }),
  refused('a list of tensors elsewhere', /several tensors/, () => {
    const node = makeNode('Constant', [], ['harm']);
    node.attribute = [attribute('value', { type: Kind.TENSORS, tensors: [elsewhere('canary.bin')] })];
    return withNode(node);
  }),
  refused('a sparse weight elsewhere', /sparse/, () =>
    changed((graph) => {
      const indices = makeTensor('', BigInt64Array.of(0n));
      graph.sparseInitializer = [
        create(SparseTensorProtoSchema, { values: elsewhere('canary.bin'), indices, dims: [48n] }),
      ];
    }),
  ),
  refused('a sparse attribute elsewhere', /sparse/, () => {
    const node = makeNode('Constant', [], ['harm']);
    const sparseTensor = create(SparseTensorProtoSchema, { values: elsewhere('canary.bin'), dims: [48n] });
    node.attribute = [attribute('sparse_value', { type: Kind.SPARSE_TENSOR, sparseTensor })];
    return withNode(node);
  }),
  refused('a branch with a weight elsewhere', AFAR, () =>
    withNode(ifNode(branch([], [elsewhere('canary.bin', 'harm')]))),
  ),
  refused('a branch in a branch with a constant elsewhere', AFAR, () =>
    withNode(ifNode(branch([ifNode(branch([constant(elsewhere('canary.bin'))]))]))),
  ),
  refused('a function with a constant elsewhere', /functions/, () => withFunction([constant(elsewhere('canary.bin'))])),
  refused('a function’s default elsewhere', /functions/, () =>
    withFunction([], [attribute('value', { type: Kind.TENSOR, t: elsewhere('canary.bin') })]),
  ),
  refused('training from elsewhere', /trained/, () =>
    changed((_, proto) => {
      proto.trainingInfo = [create(TrainingInfoProtoSchema, { initialization: branch([], [elsewhere('canary.bin')]) })];
    }),
  ),
  refused('a second graph that is merged into the first', /twice/, () =>
    graphWith([...field(8, text('weights')), 0x70, 1]),
  ),
  refused('a file in ONNX Runtime’s own format', /own format/, () => joined([0x12, 0x84, 0, 0], text('ORTM'), plain())),
  // operators
  refused('an operator of a library', /operators of “evil”/, () =>
    withNode(makeNode('Run', ['pixels'], ['harm'], {}, 'evil'), 'evil'),
  ),
  refused('a compiled context in a file', /EPContext/, () =>
    withNode(
      makeNode('EPContext', ['pixels'], ['harm'], { ep_cache_context: '/etc/passwd', embed_mode: 0 }, 'com.microsoft'),
      'com.microsoft',
    ),
  ),
  refused('a decoder of files', /ImageDecoder/, () => withNode(makeNode('ImageDecoder', ['pixels'], ['harm']))),
  refused('a tree that leads back to its root', /ai\.onnx\.ml/, () =>
    withNode(
      makeNode(
        'TreeEnsembleRegressor',
        ['pixels'],
        ['harm'],
        { n_targets: 1, nodes_nodeids: [0, 1], nodes_truenodeids: [1, 0], nodes_falsenodeids: [1, 0] },
        'ai.onnx.ml',
      ),
      'ai.onnx.ml',
    ),
  ),
  refused('an endless loop', /“Loop”/, () => repeating('Loop')),
  refused('a scan', /“Scan”/, () => repeating('Scan')),
  refused('chance', /RandomNormal/, () => withNode(makeNode('RandomNormal', [], ['harm'], { shape: [48] }))),
  refused('an operator that does not exist', /Relu2/, () => withNode(makeNode('Relu2', ['pixels'], ['harm']))),
  refused('an operator named like a method', /__proto__/, () =>
    withNode(makeNode('constructor', ['pixels'], ['harm'], {}, '__proto__')),
  ),
  refused('a function that calls itself', /functions/, () =>
    withFunction([makeNode('Own', ['a'], ['harm'], {}, 'own')]),
  ),
  refused('a graph where none belongs', /a graph inside/, () => {
    const node = makeNode('Relu', ['pixels'], ['harm']);
    node.attribute = [attribute('body', { type: Kind.GRAPH, g: branch([]) })];
    return withNode(node);
  }),
  refused('branches in branches, eight deep', /graphs in graphs/, () => {
    let graph = branch([constant(makeTensor('', new Float32Array(48)))]);
    for (let i = 0; i < 8; i++) graph = branch([ifNode(graph)]);
    return withNode(ifNode(graph));
  }),
  refused('a sequence', /sequences/, () =>
    changed((graph) =>
      graph.valueInfo.push(
        create(ValueInfoProtoSchema, {
          name: 's',
          type: create(TypeProtoSchema, { value: { case: 'sequenceType', value: {} } }),
        }),
      ),
    ),
  ),
  // sizes
  refused('sides whose product is cut to nothing', /along one axis/, () =>
    tensorWith({ dims: [2n ** 32n, 2n ** 32n] }),
  ),
  refused('a product just too large', /more than/, () => tensorWith({ dims: [65536n, 65536n] })),
  refused('a negative side', /along one axis/, () => tensorWith({ dims: [-48n], rawData: new Uint8Array(192) })),
  refused('8 GB that are not there', /values that has 0/, () => tensorWith({ dims: [2n ** 31n] })),
  refused('fewer bytes than declared', /has 8 bytes/, () => tensorWith({ dims: [48n], rawData: new Uint8Array(8) })),
  refused('more numbers than declared', /has 96/, () =>
    tensorWith({ dims: [48n], floatData: Array<number>(96).fill(0) }),
  ),
  refused('values in two forms', /two forms/, () =>
    tensorWith({ dims: [2n], floatData: [1, 2], rawData: new Uint8Array(8) }),
  ),
  refused('texts as weights', /texts/, () =>
    tensorWith({ dims: [1n], dataType: Type.STRING, stringData: [new Uint8Array(9)] }),
  ),
  refused('an element type that does not exist', /element type/, () =>
    tensorWith({ dims: [1n], dataType: 99, rawData: new Uint8Array(4) }),
  ),
  refused('sixty thousand nodes', /nodes/, () => chain(60_000, 'Identity')),
  refused('a name of two megabytes', /a text of/, () => changed((graph) => (graph.node[0].name = 'n'.repeat(2 ** 21)))),
  refused('two thousand outputs', /outputs/, () =>
    changed((graph) => {
      for (let i = 0; i < 2000; i++) graph.output.push(makeValueInfo(`y${i}`, 'float32', ['n', 48]));
    }),
  ),
  refused('an input of a hundred thousand pixels a side', /pixels/, () => plain(undefined, ['n', 3, 100_000, 100_000])),
  // the form of the file
  refused('no bytes', /format version 0|not a readable/, () => new Uint8Array()),
  refused('a web page', WIRE, () => Buffer.from('<!doctype html><title>404</title>'.repeat(9))),
  refused('a program', WIRE, () => joined([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0], new Uint8Array(56))),
  refused('a file that is cut off', WIRE, () => plain().slice(0, -20)),
  refused('a length of four exabytes', WIRE, () => joined(plain(), [0x32], varint(2n ** 62n))),
  refused('a number of eleven bytes', WIRE, () => joined(plain(), [0x28], new Uint8Array(10).fill(0xff), [1])),
  refused('a group', WIRE, () => joined(plain(), [0x33, 0x34])),
  refused('a field of number 0', WIRE, () => joined(plain(), [0x02, 0x00])),
  refused('a field that ONNX does not know', WIRE, () => joined(plain(), field(99, text('x')))),
  refused('types in types, ten thousand deep', /optional|nested/, () => {
    let type: number[] = field(6, text('x'));
    for (let i = 0; i < 300; i++) type = field(9, field(1, type));
    return joined([8, 8], field(7, field(13, field(2, type))));
  }),
  refused('a name that is no text', WIRE, () => {
    const bytes = plain();
    return bytes.fill(0xff, Buffer.from(bytes).indexOf('weights'), Buffer.from(bytes).indexOf('weights') + 7);
  }),
  // what only shows when it runs
  tried('products that take hours', 'encoder-invalid', STOPPED, endless),
  greedy('values of 40 GB, before there is an input', () =>
    sum((g) => g.node('Exp', [g.node('ConstantOfShape', [g.ints(100_000, 100_000)])])),
  ),
  greedy('values of 400 GB', () => large(10 ** 6, 10 ** 5)),
  greedy('more values than addresses', () => large(2 ** 31, 2 ** 31)),
  tried('a size that overflows', 'encoder-invalid', /./, () => large(2 ** 40, 2 ** 40)),
  greedy('tiles by the billion', () => sum((g, x) => g.node('Tile', [x, g.ints(1, 1, 40_000, 40_000)]))),
  greedy('a picture made a million times larger', () =>
    sum((g, x) => g.node('Resize', [x, '', g.constant(Float32Array.of(1, 1, 20_000, 20_000))])),
  ),
  greedy('a border of a gigapixel', () => sum((g, x) => g.node('Pad', [x, g.ints(0, 0, 0, 0, 0, 0, 40_000, 40_000)]))),
  greedy('a row of numbers without an end', () =>
    sum((g) => g.node('Range', [g.scalar(0), g.scalar(1e12), g.scalar(1)])),
  ),
  tried('a row of numbers in steps of nothing', 'encoder-invalid', /./, () =>
    sum((g) => g.node('Range', [g.scalar(0), g.scalar(1), g.scalar(0)])),
  ),
  greedy('a code of ten billion places', () =>
    sum((g) => g.node('OneHot', [g.ints(1), g.ints(10 ** 10), g.constant(Float32Array.of(0, 1))])),
  ),
  greedy('all pairs of all pairs', () =>
    sum((g, x) => {
      const row = g.node('Reshape', [x, g.ints(-1)]);
      return g.node('Einsum', [row, row, row, row, row, row], { equation: 'a,b,c,d,e,f->abcdef' });
    }),
  ),
  // 4 GB in steps: the system gives them, so that the watchdog must see it
  tried('values of 4 GB, little by little', 'encoder-invalid', /took more than \d+ MB/, () =>
    sum((g, x) => {
      const parts = Array.from({ length: 16 }, (_, i) =>
        g.node('Sin', [
          g.node('Expand', [g.node('Add', [g.node('ReduceSum', [x]), g.scalar(i)]), g.ints(64, 2 ** 20)]),
        ]),
      );
      return g.node('Concat', parts, { axis: 0 });
    }),
  ),
  greedy('harmless for a blank picture, large for any other', later),
  tried('a chain of five thousand steps', 'accepted', /^$/, () => chain(5000, 'Sin')),
  refused('a sum with an input left out', /leaves out an input/, () => sum((g, x) => g.node('Sum', [x, x, '']))),
  refused('channels in no groups', /0 groups/, () =>
    sum((g, x) => g.node('ConvTranspose', [x, g.constant(new Float32Array(12), [3, 1, 2, 2])], { group: 0 })),
  ),
  refused('scales that are computed and too few', /factors/, () =>
    sum((g, x) => g.node('Resize', [x, '', g.node('Exp', [g.node('Flatten', [x])])], { mode: 'linear' })),
  ),
  tried('steps in a circle', 'encoder-invalid', /./, () =>
    changed((graph) => graph.node.unshift(makeNode('Relu', ['b'], ['a']), makeNode('Relu', ['a'], ['b']))),
  ),
  tried('a name twice', 'encoder-invalid', /./, () =>
    changed((graph) => graph.node.push(makeNode('Relu', ['pixels'], ['y']))),
  ),
  refused('a weight twice', /two tensors/, () => changed((graph) => graph.initializer.push(graph.initializer[0]))),
  refused('no input', /one input/, () => changed((graph) => (graph.input = []))),
  tried('an input named __proto__', 'accepted', /^$/, () => renamedInput('__proto__')),
  tried('an input named constructor', 'accepted', /^$/, () => renamedInput('constructor')),
  tried('an output wider than any embedding', 'encoder-invalid', /numbers per item/, () =>
    changed((graph) => {
      graph.output = [makeValueInfo('wide', 'float32', ['n', 'm'])];
      graph.initializer.push(makeTensor('wider', BigInt64Array.of(1n, 40n * 48n * 48n), [2]));
      graph.node.push(makeNode('Flatten', ['pixels'], ['flat']), makeNode('Tile', ['flat', 'tiles'], ['wide']));
      graph.initializer.push(makeTensor('tiles', BigInt64Array.of(1n, 2000n), [2]));
    }),
  ),
  tried('a layer whose window is larger than memory', 'accepted', /^$/, () =>
    sum((g, x) =>
      g.node('MaxPool', [x], { kernel_shape: [2 ** 30, 2 ** 30], pads: [2 ** 29, 2 ** 29, 2 ** 29, 2 ** 29] }),
    ),
  ),
  tried('a place far outside', 'encoder-invalid', /./, () => sum((g, x) => g.node('Gather', [x, g.ints(2 ** 40)]))),
  tried('a slope that is no number', 'encoder-invalid', /not finite/, () =>
    plain((g, x) =>
      g.node('ReduceSum', [g.node('Elu', [g.node('Sub', [x, g.scalar(1)])], { alpha: float(NaN) })], { keepdims: 0 }),
    ),
  ),
];
