/**
 * Mutants of files, the same ones for the same seed. Of ONNX files by what they are made of:
 * numbers, lengths, names, operators, sizes, tensors that point elsewhere, parts left out,
 * doubled, moved; of any file by its bytes. Reads messages on its own, not with the code
 * that is tested.
 */
import type { DescMessage } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProtoSchema } from 'onnx-buf';
import type { Rng } from '../../main/domain/rng.ts';
import { field as encodeField, varint as encodeVarint } from './crafted.ts';

interface Piece {
  number: number;
  wire: number;
  varint: bigint;
  bytes: Uint8Array;
  /** Of a message, what is in it. */
  children: Piece[] | null;
  message: DescMessage | null;
}

function readVarint(bytes: Uint8Array, at: number): [bigint, number] {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}

function read(bytes: Uint8Array, message: DescMessage): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < bytes.length;) {
    let tag, varint, size: bigint;
    [tag, at] = readVarint(bytes, at);
    const piece: Piece = {
      ...{ number: Number(tag >> 3n), wire: Number(tag & 7n), varint: 0n, children: null },
      ...{ bytes: new Uint8Array(), message: null },
    };
    if (piece.wire === 0) {
      [varint, at] = readVarint(bytes, at);
      piece.varint = varint;
    } else {
      if (piece.wire === 2) [size, at] = readVarint(bytes, at);
      else size = piece.wire === 5 ? 4n : 8n;
      piece.bytes = bytes.subarray(at, (at += Number(size)));
      piece.message = message.fields.find(({ number }) => number === piece.number)?.message ?? null;
      if (piece.message) piece.children = read(piece.bytes, piece.message);
    }
    pieces.push(piece);
  }
  return pieces;
}

function write(pieces: readonly Piece[]): Uint8Array {
  return Buffer.concat(
    pieces.map((piece) => {
      const body = piece.children ? write(piece.children) : piece.bytes;
      const head = encodeVarint(BigInt(piece.number * 8 + piece.wire));
      if (piece.wire === 0) return Buffer.from([...head, ...encodeVarint(piece.varint)]);
      if (piece.wire === 2) head.push(...encodeVarint(BigInt(body.length)));
      return Buffer.concat([Buffer.from(head), body]);
    }),
  );
}

const NUMBERS = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  64n,
  127n,
  255n,
  65_535n,
  2n ** 20n,
  2n ** 30n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
].concat([
  2n ** 32n + 1n,
  2n ** 40n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n - 2n,
  2n ** 64n - 48n,
]);
const OPERATORS = (
  'Add Attention AveragePool Cast Concat ConstantOfShape Conv ConvTranspose CumSum DepthToSpace Einsum Expand EyeLike GRU ' +
  'Gather GatherND Gemm GridSample Identity If LRN LSTM LayerNormalization Loop MatMul MaxPool NonZero OneHot Pad Range ' +
  'ReduceSum Relu Reshape Resize ScatterND Shape Slice Softmax Split Squeeze Tile TopK Transpose Unsqueeze Where EPContext'
).split(' ');
const WORDS = [
  '',
  '..',
  '/etc/passwd',
  'canary.bin',
  '__proto__',
  'x'.repeat(5000),
  '\0',
  'ai.onnx.ml',
  'com.microsoft',
  'pixels',
  'y',
];

/** Every list of pieces in the tree, with the message it is of. */
function* listsIn(pieces: Piece[], message: DescMessage): Generator<{ pieces: Piece[]; message: DescMessage }> {
  yield { pieces, message };
  for (const piece of pieces) if (piece.children && piece.message) yield* listsIn(piece.children, piece.message);
}

/** A copy that is taken as it is, so that nothing comes to lie in itself. */
const sealed = (piece: Piece): Piece => ({
  ...piece,
  bytes: piece.children ? write(piece.children) : piece.bytes,
  ...{ children: null, message: null },
});

const pick = <T>(values: readonly T[], rng: Rng): T => values[rng.int(values.length)];

function changePiece(piece: Piece, all: Piece[], rng: Rng): void {
  if (piece.children) {
    const [a, b] = [rng.int(piece.children.length + 1), rng.int(piece.children.length + 1)];
    const [one] = piece.children.splice(a, 1);
    if (one && rng.int(2) === 0) piece.children.splice(b, 0, one, ...(rng.int(2) === 0 ? [one] : []));
    else piece.children.splice(b, 0, sealed(pick(all, rng)));
  } else if (piece.wire === 0) {
    piece.varint = rng.int(3) === 0 ? BigInt.asUintN(64, piece.varint + BigInt(rng.int(5) - 2)) : pick(NUMBERS, rng);
  } else if (piece.wire !== 2 || piece.bytes.length > 64 || rng.int(4) === 0) {
    piece.bytes = mutateBytes(piece.bytes, rng);
  } else {
    const texts = all.filter(({ wire, children, bytes }) => wire === 2 && !children && bytes.length < 64);
    const other = rng.int(3);
    piece.bytes =
      other === 0 ? pick(texts, rng).bytes : new TextEncoder().encode(pick(other === 1 ? OPERATORS : WORDS, rng));
  }
}

const field = (number: number, bytes: number[]): Piece => {
  const [piece] = read(Uint8Array.from(encodeField(number, bytes)), TensorProtoSchema);
  return piece;
};

/** Makes a tensor point to a file beside the model. */
function pointElsewhere(tensor: Piece[]): void {
  const entry = (key: string, value: string) => [
    ...encodeField(1, [...Buffer.from(key)]),
    ...encodeField(2, [...Buffer.from(value)]),
  ];
  for (const told of [entry('location', 'canary.bin'), entry('offset', '0'), entry('length', '24')])
    tensor.push(field(13, told));
  tensor.push({ number: 14, wire: 0, varint: 1n, bytes: new Uint8Array(), children: null, message: null });
  for (let i = tensor.length - 1; i >= 0; i--) if (tensor[i].number === 9) tensor.splice(i, 1);
}

/** Changes what a graph means and leaves its form alone, so that it comes as far as ONNX Runtime. */
function changeMeaning(model: Piece[], rng: Rng): void {
  const lists = [...listsIn(model, ModelProtoSchema)];
  const of = (name: string) => lists.filter(({ message }) => message.name === name).map(({ pieces }) => pieces);
  const some = (pieces: Piece[], number: number) => pieces.filter((piece) => piece.number === number);
  const node = pick(of('NodeProto'), rng);
  const kind = rng.int(6);
  if (kind === 0) for (const piece of some(node, 4)) piece.bytes = new TextEncoder().encode(pick(OPERATORS, rng));
  else if (kind === 1 && of('AttributeProto').length > 0) {
    const attribute = pick(of('AttributeProto'), rng);
    const number = attribute.find(({ wire, number: n }) => wire === 0 && n !== 20);
    if (number) number.varint = pick(NUMBERS, rng);
    const list = attribute.filter(({ wire, number: n }) => wire === 2 && n === 8);
    for (const { bytes } of list) if (bytes.length > 0) bytes[rng.int(bytes.length)] = rng.int(128);
  } else if (kind === 2 && some(node, 1).length > 0) {
    const input = pick(some(node, 1), rng);
    const names = [
      ...of('NodeProto').flatMap((pieces) => some(pieces, 2)),
      ...of('TensorProto').flatMap((pieces) => some(pieces, 8)),
    ];
    if (rng.int(4) === 0) node.splice(node.indexOf(input), 1);
    else input.bytes = rng.int(8) === 0 ? new Uint8Array() : pick(names, rng).bytes;
  } else {
    const tensor = pick(of('TensorProto'), rng);
    const [raw] = some(tensor, 9);
    const type = some(tensor, 2)[0]?.varint;
    if (!raw || raw.bytes.length === 0) return;
    const data = Buffer.from(raw.bytes);
    if (type === 7n) data.writeBigInt64LE(BigInt.asIntN(64, pick(NUMBERS, rng)), 8 * rng.int(data.length / 8));
    else if (type === 1n)
      data.writeFloatLE(pick([0, -1, NaN, Infinity, 1e38, 1e9, -1e9, 0.5], rng), 4 * rng.int(data.length / 4));
    else data[rng.int(data.length)] = rng.int(256);
    raw.bytes = data;
  }
}

/** A mutant of an ONNX file: one to four changes, half the time of what it means only. */
export function mutateModel(seed: Uint8Array, rng: Rng): Uint8Array {
  if (rng.int(8) === 0) return mutateBytes(seed, rng);
  const model = read(Uint8Array.from(seed), ModelProtoSchema);
  if (rng.int(2) === 0) {
    for (let changes = 1 + rng.int(4); changes > 0; changes--) changeMeaning(model, rng);
    return write(model);
  }
  for (let changes = 1 + rng.int(4); changes > 0; changes--) {
    const lists = [...listsIn(model, ModelProtoSchema)];
    const all = lists.flatMap(({ pieces }) => pieces);
    const list = pick(lists, rng);
    const at = rng.int(list.pieces.length + 1);
    const kind = rng.int(10);
    const tensors = lists.filter(({ message }) => message === TensorProtoSchema);
    if (kind === 0) list.pieces.splice(at, 1);
    else if (kind === 1 && list.pieces[at]) list.pieces.splice(at, 0, sealed(list.pieces[at]));
    else if (kind === 2) list.pieces.splice(at, 0, sealed(pick(all, rng)));
    else if (kind === 3 && tensors.length > 0) pointElsewhere(pick(tensors, rng).pieces);
    else if (kind === 4) {
      const operators = lists.flatMap(({ pieces, message }) =>
        message.name === 'NodeProto' ? pieces.filter(({ number }) => number === 4) : [],
      );
      if (operators.length > 0) pick(operators, rng).bytes = new TextEncoder().encode(pick(OPERATORS, rng));
    } else if (kind === 5) {
      const sizes = tensors.flatMap(({ pieces }) => pieces.filter(({ number, wire }) => number === 1 && wire === 0));
      if (sizes.length > 0) pick(sizes, rng).varint = pick(NUMBERS, rng);
    } else if (all.length > 0) changePiece(pick(all, rng), all, rng);
  }
  const bytes = write(model);
  return rng.int(12) === 0 ? bytes.subarray(0, rng.int(bytes.length)) : bytes;
}

/** A mutant of any file: bits turned, bytes replaced, cut, doubled, put in. */
export function mutateBytes(seed: Uint8Array, rng: Rng): Uint8Array {
  let bytes = Buffer.from(seed);
  for (let changes = 1 + rng.int(6); changes > 0 && bytes.length > 0; changes--) {
    const at = rng.int(bytes.length);
    const length = 1 + rng.int(Math.min(64, bytes.length - at));
    const kind = rng.int(8);
    if (kind < 3) bytes[at] ^= 1 << rng.int(8);
    else if (kind === 3) bytes[at] = pick([0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x2c], rng);
    else if (kind === 4) bytes.fill(pick([0, 0xff], rng), at, at + length);
    else if (kind === 5) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else if (kind === 6) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    else
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(Array.from({ length }, () => rng.int(256))),
        bytes.subarray(at),
      ]);
  }
  return rng.int(10) === 0 ? bytes.subarray(0, rng.int(bytes.length + 1)) : bytes;
}
