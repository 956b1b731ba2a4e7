/**
 * Puts together what exporters take apart: layer normalisation and GELU are recognised by
 * their last node, walking up from it. The parts stay in the graph, unused, and are never
 * written. Nothing is assumed: where a constant or a shape differs, the parts remain.
 */
import { float } from '../onnx/index.ts';
import type { Graph } from './graph.ts';
import { type Call, numbersOf, reducedOver, sizeOf, type Value } from './ir.ts';

/** The outputs of one operator that does what `call` ends, or null. */
export function recognise(g: Graph, call: Call): readonly Value[] | null {
  if (call.op === 'Mul') {
    const gelu = geluInput(call);
    return gelu && [g.op('Gelu', [gelu], {}, call.label)];
  }
  return call.op === 'Add' ? layerNorm(g, call) : null;
}

type Made = Pick<Call, 'op' | 'inputs'> | null | undefined;

const made = (value: Value | null | undefined, op: string): Made => (value?.from?.op === op ? value.from : null);

function scalarOf(value: Value | null | undefined): number | null {
  return value?.constant && sizeOf(value.constant.shape) === 1 ? numbersOf(value.constant)[0] : null;
}

const near = (a: number | null, b: number) => a !== null && Math.abs(a - b) <= 1e-5 * Math.abs(b);

/** Both orders of a commutative pair. */
function orders(call: Made): [Value, Value][] {
  const [a, b] = call?.inputs ?? [];
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : [];
}

/** x · ½ · (1 + erf(x / √2)), in any order of its factors (Hendrycks & Gimpel 2016): gives x. */
function geluInput(call: Call): Value | null {
  const factors = orders(call).flatMap(([a, b]) => {
    const inner = orders(made(a, 'Mul'));
    return inner.map(([c, d]) => [b, c, d] as const);
  });
  for (const [a, b, c] of factors) {
    for (const [half, x, gate] of [
      [a, b, c],
      [b, a, c],
      [a, c, b],
      [b, c, a],
      [c, a, b],
      [c, b, a],
    ] as const) {
      if (!near(scalarOf(half), 0.5)) continue;
      for (const [erf, one] of orders(made(gate, 'Add'))) {
        if (!near(scalarOf(one), 1)) continue;
        const argument = made(erf, 'Erf')?.inputs[0];
        const divided = made(argument, 'Div');
        if (divided && divided.inputs[0] === x && near(scalarOf(divided.inputs[1]), Math.SQRT2)) return x;
        if (orders(made(argument, 'Mul')).some(([y, s]) => y === x && near(scalarOf(s), Math.SQRT1_2))) return x;
      }
    }
  }
  return null;
}

/** (x − mean) / √(mean((x − mean)²) + ε) · scale + bias over the last axis (Ba, Kiros & Hinton 2016). */
function layerNorm(g: Graph, call: Call): readonly Value[] | null {
  for (const [scaled, bias] of orders(call)) {
    for (const [unit, scale] of orders(made(scaled, 'Mul'))) {
      const division = made(unit, 'Div');
      const [centred, deviation] = division?.inputs ?? [];
      const [x, mean] = made(centred, 'Sub')?.inputs ?? [];
      if (!x || !isLastMean(mean, x)) continue;
      for (const [variance, epsilon] of orders(made(made(deviation, 'Sqrt')?.inputs[0], 'Add'))) {
        const eps = scalarOf(epsilon);
        const d = x.shape.at(-1)!;
        if (eps === null || scale.shape.length !== 1 || bias.shape.length !== 1) continue;
        if (scale.shape[0] !== d || bias.shape[0] !== d || !isSquareOf(variance, centred!)) continue;
        return g.ops('LayerNormalization', [x, scale, bias], { axis: -1, epsilon: float(eps) }, 3, call.label);
      }
    }
  }
  return null;
}

function isLastMean(value: Value | null | undefined, x: Value): boolean {
  const node = value?.from;
  return (
    value != null &&
    node?.op === 'ReduceMean' &&
    node.inputs[0] === x &&
    value.shape.at(-1) === 1 &&
    reducedOver(node, x.shape.length - 1)
  );
}

function isSquareOf(variance: Value, centred: Value): boolean {
  const squared = variance.from?.inputs[0];
  if (!squared || variance.from.op !== 'ReduceMean' || !reducedOver(variance.from, centred.shape.length - 1))
    return false;
  const power = made(squared, 'Pow');
  if (power) return power.inputs[0] === centred && scalarOf(power.inputs[1]) === 2;
  return made(squared, 'Mul')?.inputs.every((v) => v === centred) ?? false;
}
