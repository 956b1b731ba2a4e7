/**
 * Looks through the bytes of a model before any parser makes anything of them, and refuses
 * what a model of numbers does not need and what a hostile one would use: data in other
 * files (CVE-2026-34445 to -34447) wherever the pointer hides, operators beyond a list,
 * loops, functions, training, sizes that do not fit the data or would not fit a machine.
 * Reads names and numbers only; nothing of a tensor but its length. What passes may still
 * take too long or too much memory when it runs: that is for whoever runs it to limit.
 */
import { EngineError, type ErrorContext } from '../domain/errors.ts';
import { operatorsOf } from './operators.ts';
import { type Field, MODEL, type Shape, walk, WireError } from './wire.ts';

/** What no model has to have more of; real encoders stay far below. */
const MOST = {
  bytes: 2 ** 31 - 1,
  nodes: 20_000,
  tensors: 50_000,
  outputs: 1024,
  depth: 4,
  messageDepth: 24,
  fields: 4_000_000,
  nameBytes: 4096,
  textBytes: 2 ** 20,
  metadataBytes: 2 ** 28,
  dims: 32,
  values: 2 ** 31,
  /** Values that are not raw bytes are made into JavaScript numbers when they are read. */
  listedValues: 2 ** 26,
};

/** Bits of one value by its element type; types that are not listed (text, complex numbers) are refused. */
const BITS: Readonly<Record<number, number>> = {
  ...{ 1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16 },
  ...{ 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2 },
};

const ALONE = 'Export the model as one single file, without external data.';
const PLAIN = 'Export the model again for inference only, as one plain graph of standard operators.';
const AGAIN = 'Choose a file that was exported as ONNX, and copy it again if it may be damaged.';
const INLINE = 'Inline the functions of the model (onnx.inliner) and import it again.';

/** Fields that are refused wherever they are, with what they would be and what to do. */
const REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  'TensorProto.external_data': ['keeps a tensor in another file', ALONE],
  'TensorProto.segment': ['keeps a tensor in pieces', ALONE],
  'TensorProto.string_data': ['contains texts as tensors', PLAIN],
  'GraphProto.sparse_initializer': ['contains sparse tensors', 'Export the model with dense tensors.'],
  'AttributeProto.sparse_tensor': ['contains sparse tensors', 'Export the model with dense tensors.'],
  'AttributeProto.sparse_tensors': ['contains sparse tensors', 'Export the model with dense tensors.'],
  'AttributeProto.tensors': ['has an attribute of several tensors', PLAIN],
  'AttributeProto.graphs': ['has an attribute of several graphs', PLAIN],
  'AttributeProto.tp': ['has an attribute that is a type', PLAIN],
  'AttributeProto.type_protos': ['has an attribute that is a type', PLAIN],
  'AttributeProto.ref_attr_name': ['has an attribute that refers to a function', INLINE],
  'NodeProto.overload': ['calls functions of its own', INLINE],
  'NodeProto.device_configurations': ['says on which devices it wants to run', PLAIN],
  'ModelProto.configuration': ['says on which devices it wants to run', PLAIN],
  'ModelProto.functions': ['defines functions of its own', INLINE],
  'ModelProto.training_info': ['says how it wants to be trained', PLAIN],
  'TypeProto.sequence_type': ['passes sequences', PLAIN],
  'TypeProto.map_type': ['passes maps', PLAIN],
  'TypeProto.optional_type': ['passes optional values', PLAIN],
  'TypeProto.sparse_tensor_type': ['passes sparse tensors', PLAIN],
};

/** Texts that only people read may be long; everything else is a name. */
const PROSE = new Set(['doc_string', 's', 'strings', 'value']);

interface Told {
  field: Field;
  value: number;
  from: number;
  to: number;
  count: number;
}

/** Looks through a model. `own` allows the operators in blocks that our gradient graphs have. Errors: `encoder-invalid`, saying what it has and what to do. */
export function scanModel(bytes: Uint8Array, { own = false } = {}): void {
  if (bytes.length > MOST.bytes) throw refused('is larger than 2 GB', 'Choose a smaller model.');
  // ONNX Runtime would take it for its own format, which nobody looked through.
  if (Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(8, bytes.length)).toString('latin1', 4) === 'ORTM') {
    throw refused('is in ONNX Runtime’s own format', 'Choose the .onnx file that it was made from.');
  }
  try {
    new Scan(bytes, own).model();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new EngineError('encoder-invalid', `This file is not a readable ONNX model: it ${error.message}.`, AGAIN);
  }
}

type Counted = 'nodes' | 'tensors' | 'outputs' | 'fields' | 'listedValues' | 'metadataBytes';

interface Frame {
  weights: Set<string>;
  constants: Set<string>;
  /** Tensors that pictures are resized by. */
  scales: string[];
}

class Scan {
  readonly #bytes: Uint8Array;
  readonly #own: boolean;
  /** Those that lie in each other, the innermost last. */
  readonly #graphs: Frame[] = [];
  readonly #counts: Record<Counted, number> = {
    ...{ nodes: 0, tensors: 0, outputs: 0, fields: 0, listedValues: 0, metadataBytes: 0 },
  };

  constructor(bytes: Uint8Array, own: boolean) {
    this.#bytes = bytes;
    this.#own = own;
  }

  model(): void {
    this.#message(MODEL, 0, this.#bytes.length, 0, 0);
  }

  /** One message and all in it; `graphs` are those that it lies in. Tells whether it is an attribute that holds one. */
  #message(shape: Shape, from: number, to: number, depth: number, graphs: number): boolean {
    if (depth > MOST.messageDepth) throw refused('is nested too deeply', PLAIN);
    const isGraph = shape.name === 'GraphProto';
    const inside = graphs + (isGraph ? 1 : 0);
    if (inside > MOST.depth) throw refused(`has graphs in graphs, more than ${MOST.depth} deep`, PLAIN);
    if (shape.name === 'NodeProto') this.#count('nodes', 1);
    if (shape.name === 'TensorProto') this.#count('tensors', 1);
    if (isGraph) this.#graphs.push({ weights: new Set(), constants: new Set(), scales: [] });
    const told: Told[] = [];
    let holdsGraph = false;
    walk(this.#bytes, shape, from, to, (field, value, begin, end, count) => {
      this.#count('fields', 1);
      const where = `${shape.name}.${field.name}`;
      const reason = REFUSED[where];
      if (reason) throw refused(...reason, { field: where });
      if (isGraph && field.name === 'output') this.#count('outputs', 1);
      if (field.kind === 'text' || field.kind === 'bytes') this.#text(where, field, end - begin);
      if (field.message) {
        const holds = this.#message(field.message, begin, end, depth + 1, inside);
        holdsGraph ||= holds || field.message.name === 'GraphProto';
        if (where === 'GraphProto.initializer') this.#weight(begin, end);
      } else if (shape.name === 'TensorProto' || field.name !== 'doc_string') {
        told.push({ field, value, from: begin, to: end, count });
      }
    });
    if (isGraph) this.#endGraph(this.#graphs.pop()!);
    else if (shape.name === 'NodeProto') this.#node(told, holdsGraph);
    else if (shape.name === 'TensorProto') this.#tensor(told);
    else if (shape.name === 'OperatorSetIdProto') this.#operatorSet(told);
    else if (shape.name === 'AttributeProto') this.#attribute(told);
    else if (shape.name === 'Dimension') dimension(told);
    else if (shape.name === 'ModelProto') version(told);
    return shape.name === 'AttributeProto' && holdsGraph;
  }

  #count(what: Counted, by: number): void {
    this.#counts[what] += by;
    // the gradients of a large network are several times as many
    const most = MOST[what] * (this.#own ? 8 : 1);
    if (this.#counts[what] > most) throw refused(`has more than ${most} ${what}`, PLAIN, { what });
  }

  #weight(from: number, to: number): void {
    const { weights, constants } = this.#graphs.at(-1)!;
    let name = '';
    walk(this.#bytes, TENSOR, from, to, (field, _value, begin, end) => {
      if (field.name === 'name') name = this.#string(begin, end);
    });
    if (weights.has(name)) throw refused(`has two tensors named “${name}”`, PLAIN, { tensor: name });
    weights.add(name);
    constants.add(name);
  }

  /** ONNX Runtime 1.30 does not compare the length of scales that it learns only when it runs, and writes elsewhere. */
  #endGraph({ constants, scales }: Frame): void {
    const computed = scales.find((name) => !constants.has(name));
    if (computed === undefined) return;
    throw refused(
      `resizes by factors that it computes itself (“${computed}”)`,
      'Export the model again with fixed factors, or with sizes instead of factors.',
      { tensor: computed },
    );
  }

  #text(where: string, field: Field, size: number): void {
    if (where === 'TensorProto.raw_data') return;
    if (where === 'StringStringEntryProto.value') return this.#count('metadataBytes', size);
    const most = PROSE.has(field.name) ? MOST.textBytes : MOST.nameBytes;
    if (size > most) throw refused(`has a text of ${size} bytes in ${where}`, PLAIN, { field: where });
  }

  #node(told: readonly Told[], holdsGraph: boolean): void {
    const operator = this.#textOf(told, 'op_type');
    const domain = this.#textOf(told, 'domain');
    this.#domain(domain);
    if (!operatorsOf(domain)?.has(operator)) {
      throw refused(
        `uses the operator “${operator}”${domain === '' ? '' : ` of “${domain}”`}, which is not accepted`,
        REPEATING.has(operator)
          ? 'Export the model without loops: with fixed sizes, or traced instead of scripted.'
          : 'Export the model again with standard operators on numbers, or choose another model.',
        { operator, domain },
      );
    }
    const { constants, scales } = this.#graphs.at(-1)!;
    const named = (name: string) =>
      told.filter(({ field }) => field.name === name).map(({ from, to }) => this.#string(from, to));
    if (operator === 'Constant') for (const name of named('output')) constants.add(name);
    const scale = operator === 'Resize' ? (named('input')[2] ?? '') : '';
    if (scale !== '') scales.push(scale);
    // ONNX Runtime 1.30 reads through a null pointer there.
    if (VARIADIC.has(operator) && told.some(({ field, from, to }) => field.name === 'input' && from === to)) {
      throw refused(`leaves out an input of the operator “${operator}”`, PLAIN, { operator });
    }
    if (operator !== 'If' && holdsGraph) {
      throw refused(`has a graph inside the operator “${operator}”`, PLAIN, { operator });
    }
  }

  #domain(domain: string): void {
    if (operatorsOf(domain) && (this.#own || domain !== BLOCKS)) return;
    throw refused(
      `uses operators of “${domain}”, which are not accepted`,
      'Export the model again with standard operators only.',
      { domain },
    );
  }

  /** Groups of no channels: ONNX Runtime 1.30 divides by their number. */
  #attribute(told: readonly Told[]): void {
    if (!GROUPS.has(this.#textOf(told, 'name'))) return;
    const groups = told.find(({ field }) => field.name === 'i')?.value ?? 0;
    if (groups < 1) throw refused(`divides channels into ${groups} groups`, PLAIN);
  }

  #operatorSet(told: readonly Told[]): void {
    const version = told.find(({ field }) => field.name === 'version')?.value ?? 0;
    if (version < 1 || version > 1000) throw refused(`names the version ${version} of an operator set`, PLAIN);
    // Exporters list sets that no node uses; nodes are what counts.
  }

  #tensor(told: readonly Told[]): void {
    const name = this.#textOf(told, 'name');
    const bad = (what: string, hint = AGAIN) => refused(`has a tensor “${name}” ${what}`, hint, { tensor: name });
    const location = told.find(({ field }) => field.name === 'data_location')?.value ?? 0;
    if (location !== 0) throw bad('that lies in another file', ALONE);
    const type = told.find(({ field }) => field.name === 'data_type')?.value ?? 0;
    const bits = BITS[type];
    if (bits === undefined) throw bad(`of an element type that is not read here (${type})`, PLAIN);
    const dims = told.filter(({ field }) => field.name === 'dims').map(({ value }) => value);
    if (dims.length > MOST.dims) throw bad(`with ${dims.length} axes`);
    let size = 1;
    for (const dim of dims) {
      // before they are multiplied: 2³² × 2³² must not come out as nothing
      if (dim < 0 || dim > MOST.values) throw bad(`with ${dim} values along one axis`);
      size *= dim;
      if (size > MOST.values) throw bad(`of more than ${MOST.values} values`);
    }
    const data = told.filter(({ field }) => DATA.has(field.name));
    if (new Set(data.map(({ field }) => field.name)).size > 1) throw bad('that is there twice, in two forms');
    const [first] = data;
    const packed = bits < 8 ? Math.ceil((size * bits) / 8) : size;
    if (first?.field.name === 'raw_data') {
      const expected = Math.ceil((size * bits) / 8);
      const got = first.to - first.from;
      if (got !== expected) throw bad(`of ${dims.join(' × ') || 'one'} values that has ${got} bytes, not ${expected}`);
      return;
    }
    const got = data.reduce((sum, { count }) => sum + count, 0);
    this.#count('listedValues', got);
    if (got !== packed) throw bad(`of ${dims.join(' × ') || 'one'} values that has ${got}`);
  }

  #textOf(told: readonly Told[], name: string): string {
    const found = told.find(({ field }) => field.name === name);
    return found ? this.#string(found.from, found.to) : '';
  }

  #string(from: number, to: number): string {
    return Buffer.from(this.#bytes.subarray(from, to)).toString();
  }
}

const GRAPH = MODEL.fields.get(7)!.message!;
const TENSOR = GRAPH.fields.get(5)!.message!;
const BLOCKS = 'com.microsoft.nchwc';
const REPEATING = new Set(['Loop', 'Scan', 'SequenceMap']);
const VARIADIC = new Set(['Concat', 'Einsum', 'Max', 'Mean', 'Min', 'Sum']);
const GROUPS = new Set(['group', 'num_groups', 'groups', 'num_heads', 'kv_num_heads', 'q_num_heads', 'blocksize']);
const DATA = new Set(['raw_data', 'float_data', 'int32_data', 'int64_data', 'double_data', 'uint64_data']);

function dimension(told: readonly Told[]): void {
  const value = told.find(({ field }) => field.name === 'dim_value')?.value ?? 0;
  if (value < -1 || value > MOST.values) throw refused(`declares ${value} values along one axis`, PLAIN);
}

function version(told: readonly Told[]): void {
  const value = told.find(({ field }) => field.name === 'ir_version')?.value ?? 0;
  if (value < 1 || value > 1000) throw refused(`is of the format version ${value}`, AGAIN);
}

function refused(what: string, hint: string, context: ErrorContext = {}): EngineError {
  return new EngineError('encoder-invalid', `The model ${shown(what)}.`, hint, context);
}

/** Names come from the file: what cannot be seen is left out, what is long is cut. */
const shown = (text: string) => text.replace(/[^\P{C} ]/gu, '').replace(/“([^”]{60})[^”]*”/g, '“$1…”');
