/**
 * Protocol buffers as bytes: walks a message field by field without making anything of it,
 * by the field table of ONNX. Stricter than parsers have to be, so that every parser that
 * comes after reads the same file: no unknown fields, no groups, no other wire types, no
 * field twice that may be there once, no numbers that would be cut to fit. Throws
 * `WireError`, which says at which byte.
 */
import { isUtf8 } from 'node:buffer';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';

export class WireError extends Error {}

/** What a field is, by its number in its message. */
export interface Field {
  name: string;
  list: boolean;
  kind: 'varint' | 'fixed32' | 'fixed64' | 'text' | 'bytes' | 'message';
  /** Holds 32 bits: a longer number would be cut, by each reader in its own way. */
  narrow: boolean;
  message: Shape | null;
  /** Of fields with the same one, only one may be there. */
  oneof: string | null;
}

/** A message's fields by number. */
export interface Shape {
  name: string;
  fields: ReadonlyMap<number, Field>;
}

/** Scalar types by their numbers in descriptors. */
const DOUBLE = 1;
const FLOAT = 2;
const INT32 = 5;
const STRING = 9;
const BYTES = 12;

const shapes = new Map<string, Shape>();

function shapeOf(message: DescMessage): Shape {
  const known = shapes.get(message.typeName);
  if (known) return known;
  const fields = new Map<number, Field>();
  const shape = { name: message.name, fields };
  shapes.set(message.typeName, shape); // before its fields: messages contain themselves
  for (const field of message.fields) fields.set(field.number, fieldOf(field));
  return shape;
}

function fieldOf(field: DescField): Field {
  const { scalar } = field;
  const kind = field.message
    ? 'message'
    : scalar === STRING
      ? 'text'
      : scalar === BYTES
        ? 'bytes'
        : scalar === FLOAT
          ? 'fixed32'
          : scalar === DOUBLE
            ? 'fixed64'
            : 'varint';
  return {
    name: field.name,
    list: field.fieldKind === 'list',
    kind,
    narrow: kind === 'varint' && (scalar === undefined || scalar === INT32),
    message: field.message ? shapeOf(field.message) : null,
    oneof: field.oneof?.name ?? null,
  };
}

/** The shape of a whole ONNX file. */
export const MODEL: Shape = shapeOf(ModelProtoSchema);

const WIRE = { varint: 0, fixed64: 1, text: 2, bytes: 2, message: 2, fixed32: 5 } as const;

/** Told of every field. `value` of a varint (exact up to 2⁵³), else 0; bytes `from`–`to` of what has a length; `count` values in a packed field, else 1. */
export type Visit = (field: Field, value: number, from: number, to: number, count: number) => void;

/** Calls `visit` for every field of the message in `bytes` between `from` and `to`, in order. Errors: `WireError`. */
export function walk(bytes: Uint8Array, shape: Shape, from: number, to: number, visit: Visit): void {
  let at = from;
  const once = new Set<string>();

  function varint(end: number): number {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (at >= end) throw new WireError(`is cut off at byte ${at}`);
      const byte = bytes[at++];
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else if (i === 4) {
        low |= byte << 28;
        high |= (byte & 0x7f) >> 4;
      } else if (i < 9) high |= (byte & 0x7f) << (7 * i - 32);
      else if (byte > 1) break;
      else high |= byte << 31;
      if (byte < 0x80) return high * 2 ** 32 + (low >>> 0);
    }
    throw new WireError(`has a number of too many bytes at byte ${at}`);
  }
  function length(): number {
    const size = varint(to);
    if (size < 0 || size > to - at) throw new WireError(`is cut off: ${size} bytes are announced at byte ${at}`);
    return size;
  }
  function checked(field: Field, value: number): number {
    if (field.narrow && value !== (value | 0)) {
      throw new WireError(`has a number in ${shape.name}.${field.name} that does not fit, at byte ${at}`);
    }
    return value;
  }

  while (at < to) {
    const start = at;
    const tag = varint(to);
    const field = tag >= 0 && tag < 2 ** 32 ? shape.fields.get(Math.floor(tag / 8)) : undefined;
    if (!field) throw new WireError(`has a field that ONNX does not know in ${shape.name}, at byte ${start}`);
    if (!field.list) {
      const key = field.oneof ?? field.name;
      if (once.has(key)) throw new WireError(`has ${shape.name}.${key} twice, again at byte ${start}`);
      once.add(key);
    }
    const wire = tag & 7;
    if (wire === WIRE[field.kind]) {
      if (wire === 0) visit(field, checked(field, varint(to)), start, at, 1);
      else if (wire === 2) {
        const size = length();
        at += size;
        // names that are no text would be told apart by one reader and not by another
        if (field.kind === 'text' && !isUtf8(bytes.subarray(at - size, at))) {
          throw new WireError(`has a text that is none in ${shape.name}.${field.name}, at byte ${at - size}`);
        }
        visit(field, 0, at - size, at, 1);
      } else {
        at += wire === 5 ? 4 : 8;
        if (at > to) throw new WireError(`is cut off at byte ${to}`);
        visit(field, 0, start, at, 1);
      }
    } else if (wire === 2 && field.list) {
      const size = length();
      const begin = at;
      const end = at + size;
      if (field.kind === 'varint') {
        let count = 0;
        // dims are few and their values matter; of data, only how many there are
        if (field.name === 'dims') while (at < end) visit(field, varint(end), begin, end, 1);
        else {
          for (; at < end; count++) checked(field, varint(end));
          visit(field, 0, begin, end, count);
        }
      } else {
        const count = size / (field.kind === 'fixed32' ? 4 : 8);
        if (!Number.isInteger(count)) throw new WireError(`has part of a number at byte ${begin}`);
        at = end;
        visit(field, 0, begin, end, count);
      }
    } else throw new WireError(`has ${shape.name}.${field.name} in a form of its own (${wire}), at byte ${start}`);
  }
}
