/**
 * Writes a graph as an ONNX model, node by node: plainly, or where a block size is given,
 * convolutions and what goes with them in ONNX Runtime's blocked layout (blocked.ts). There,
 * nodes that only move or repeat are written when somebody asks for them, because who wants
 * blocks may not need them.
 */
import { type Attribute, type DType, dtypeCode, GraphBuilder } from '../onnx/index.ts';
import { Blocks, type Plain } from './blocked.ts';
import { type Node, type Value } from './ir.ts';

const ON_DEMAND = new Set(['Transpose', 'Reshape', 'Expand']);

export class Writer implements Plain {
  private readonly builder: GraphBuilder;
  private readonly names = new Map<Value, string>();
  private readonly vectors = new Map<string, string>();
  private readonly pending = new Map<Value, Node>();
  private readonly blocks: Blocks | null;

  constructor(opset: number, block: number | null) {
    this.builder = new GraphBuilder('training', { opset });
    this.blocks = block === null ? null : new Blocks(this, block);
  }

  input(value: Value): void {
    this.names.set(value, this.builder.input(value.name!, value.dtype, value.shape));
  }

  node(node: Node): void {
    if (node.op === 'Stated') {
      const [from] = node.inputs as readonly Value[];
      if (!this.blocks?.same(node.outputs[0], from)) this.names.set(node.outputs[0], this.plain(from));
      return;
    }
    if (!this.blocks) return this.write(node);
    if (ON_DEMAND.has(node.op)) {
      this.pending.set(node.outputs[0], node);
      return;
    }
    if (this.blocks.write(node)) {
      // what is not float cannot leave its blocks, but can be computed again
      if (node.outputs[0].dtype !== 'float32') this.pending.set(node.outputs[0], node);
      return;
    }
    const reduced = this.blocks.reduced(node);
    if (reduced === null) this.write(node);
    else this.names.set(node.outputs[0], reduced);
  }

  output(name: string, value: Value): void {
    this.builder.output(name, value.dtype, value.shape, this.plain(value));
  }

  toModel(): Uint8Array {
    return this.builder.toModel();
  }

  has(value: Value): boolean {
    return this.names.has(value);
  }

  plain(value: Value): string {
    if (!this.names.has(value)) {
      const node = this.pending.get(value);
      const apart = node && this.blocks?.writtenOut(node);
      if (apart) this.names.set(value, apart);
      else if (node) this.write(node);
      else if (this.blocks?.has(value)) this.names.set(value, this.blocks.unblocked(value));
      else {
        const { data, shape, dtype } = value.constant!;
        this.names.set(value, this.builder.constant(data, shape, undefined, dtype));
      }
    }
    return this.names.get(value)!;
  }

  op(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}, domain = ''): string {
    return this.builder.nodeWith(op, inputs, written(op, attributes), 1, domain)[0];
  }

  ints(values: readonly number[]): string {
    const key = values.join();
    let name = this.vectors.get(key);
    if (name === undefined) this.vectors.set(key, (name = this.builder.ints(...values)));
    return name;
  }

  floats(values: Float32Array, shape: readonly number[]): string {
    return this.builder.constant(values, shape);
  }

  private write(node: Node): void {
    const inputs = node.inputs.map((value) => (value ? this.plain(value) : ''));
    this.builder
      .nodeWith(node.op, inputs, written(node.op, node.attributes), node.outputs.length)
      .forEach((name, i) => this.names.set(node.outputs[i], name));
  }
}

/** Cast carries its type by name here, by number in a file. */
function written(op: string, attributes: Readonly<Record<string, Attribute>>): Record<string, Attribute> {
  return op === 'Cast' ? { to: dtypeCode(attributes.dtype as DType) } : attributes;
}
