/**
 * Derivatives of functions applied element by element. Where a derivative can be had from
 * the output it is, because that is at hand; kinks follow PyTorch (0 for Relu at 0, 1 for
 * Clip at its bounds).
 */
import { type Rule, type Step, unbroadcast } from './rule.ts';
import { int, real, type Value, word } from './ir.ts';

/** dy · f′, of one input. */
const slope =
  (derivative: (s: Step) => Value): Rule =>
  (s) => [s.g.mul(s.dy, derivative(s))];

/** Two inputs that broadcast: their contributions before the repeats are summed. */
const pair =
  (left: (s: Step) => Value, right: (s: Step) => Value): Rule =>
  (s) =>
    [left, right].map((of, i) => (s.needs(i) ? unbroadcast(s.g, of(s), s.x[i].shape) : null));

const square = ({ g }: Step, v: Value) => g.mul(v, v);
const positive = ({ g }: Step, v: Value) => g.op('Greater', [v, g.scalar(0)]);
const negate = ({ g }: Step, v: Value) => g.op('Neg', [v]);

/** Min, Max: the adjoint goes to whoever won, shared among equals. */
const extreme: Rule = (s) => {
  const { g, x, y, dy } = s;
  if (x.length === 1) return [dy];
  const won = x.map((v) => g.cast(g.op('Equal', [v, y]), dy.dtype));
  const shared = g.over(
    dy,
    won.reduce((sum, w) => g.plus(sum, w)),
  );
  return x.map((v, i) => (s.needs(i) ? unbroadcast(g, g.mul(shared, won[i]), v.shape) : null));
};

const SQRT_HALF_PI_INVERSE = 1 / Math.sqrt(2 * Math.PI);

export const ELEMENTWISE_RULES = {
  Abs: slope(({ g, x }) => g.op('Sign', [x[0]])),
  Neg: (s) => [negate(s, s.dy)],
  Exp: slope(({ y }) => y),
  Log: ({ g, x, dy }) => [g.over(dy, x[0])],
  Sqrt: ({ g, y, dy }) => [g.over(g.mul(dy, 0.5), y)],
  Reciprocal: (s) => [negate(s, s.g.mul(s.dy, square(s, s.y)))],
  Erf: slope((s) => s.g.mul(s.g.op('Exp', [negate(s, square(s, s.x[0]))]), 2 / Math.sqrt(Math.PI))),
  Sin: slope(({ g, x }) => g.op('Cos', [x[0]])),
  Cos: slope((s) => negate(s, s.g.op('Sin', [s.x[0]]))),
  Tan: slope((s) => s.g.plus(square(s, s.y), 1)),
  Asin: ({ g, x, dy }) => [g.over(dy, g.op('Sqrt', [g.minus(1, g.mul(x[0], x[0]))]))],
  Acos: (s) => [negate(s, s.g.over(s.dy, s.g.op('Sqrt', [s.g.minus(1, square(s, s.x[0]))])))],
  Atan: (s) => [s.g.over(s.dy, s.g.plus(square(s, s.x[0]), 1))],
  Tanh: slope((s) => s.g.minus(1, square(s, s.y))),
  Sigmoid: slope(({ g, y }) => g.minus(y, g.mul(y, y))),
  Softplus: slope(({ g, x }) => g.op('Sigmoid', [x[0]])),
  Softsign: slope((s) => square(s, s.g.minus(1, s.g.op('Abs', [s.y])))),
  Relu: (s) => [s.g.where(positive(s, s.y), s.dy, 0)],
  ThresholdedRelu: ({ g, node, x, dy }) => [g.where(g.op('Greater', [x[0], g.scalar(real(node, 'alpha', 1))]), dy, 0)],
  LeakyRelu: (s) => [s.g.where(positive(s, s.x[0]), s.dy, s.g.mul(s.dy, real(s.node, 'alpha', 0.01)))],
  PRelu: pair(
    (s) => s.g.where(positive(s, s.x[0]), s.dy, s.g.mul(s.dy, s.x[1])),
    (s) => s.g.where(positive(s, s.x[0]), 0, s.g.mul(s.dy, s.x[0])),
  ),
  Elu: (s) => [s.g.where(positive(s, s.x[0]), s.dy, s.g.mul(s.dy, s.g.plus(s.y, real(s.node, 'alpha', 1))))],
  Celu: (s) => {
    const alpha = real(s.node, 'alpha', 1);
    return [s.g.where(positive(s, s.x[0]), s.dy, s.g.mul(s.dy, s.g.plus(s.g.mul(s.y, 1 / alpha), 1)))];
  },
  Selu: (s) => {
    const [alpha, gamma] = [real(s.node, 'alpha', 1.6732632), real(s.node, 'gamma', 1.050701)];
    return [s.g.mul(s.dy, s.g.where(positive(s, s.x[0]), gamma, s.g.plus(s.y, alpha * gamma)))];
  },
  HardSigmoid: ({ g, node, y, dy }) => {
    const inside = g.op('And', [g.op('Greater', [y, g.scalar(0)]), g.op('Less', [y, g.scalar(1)])]);
    return [g.where(inside, g.mul(dy, real(node, 'alpha', 0.2)), 0)];
  },
  // x · clip(x / 6 + ½, 0, 1): between −3 and 3 the slope is x / 3 + ½ (Howard et al. 2019)
  HardSwish: (s) => {
    const { g, dy } = s;
    const [x] = s.x;
    const ramp = g.where(g.op('Greater', [x, g.scalar(-3)]), g.plus(g.mul(x, 1 / 3), 0.5), 0);
    return [g.mul(dy, g.where(g.op('Less', [x, g.scalar(3)]), ramp, 1))];
  },
  // x · tanh(softplus x) (Misra 2019)
  Mish: ({ g, x, dy }) => {
    const t = g.op('Tanh', [g.op('Softplus', [x[0]])]);
    const inner = g.mul(g.mul(x[0], g.op('Sigmoid', [x[0]])), g.minus(1, g.mul(t, t)));
    return [g.mul(dy, g.plus(t, inner))];
  },
  // Φ(x) + x φ(x), or the derivative of the tanh approximation (Hendrycks & Gimpel 2016)
  Gelu: ({ g, node, x, dy }) => {
    const [v] = x;
    const v2 = g.mul(v, v);
    if (word(node, 'approximate', 'none') === 'tanh') {
      const c = Math.sqrt(2 / Math.PI);
      const t = g.op('Tanh', [g.mul(v, g.plus(g.mul(v2, c * 0.044715), c))]);
      const inner = g.mul(g.mul(v, g.minus(1, g.mul(t, t))), g.plus(g.mul(v2, 3 * c * 0.044715), c));
      return [g.mul(dy, g.mul(g.plus(g.plus(t, 1), inner), 0.5))];
    }
    const cdf = g.mul(g.plus(g.op('Erf', [g.mul(v, Math.SQRT1_2)]), 1), 0.5);
    const density = g.mul(g.op('Exp', [g.mul(v2, -0.5)]), SQRT_HALF_PI_INVERSE);
    return [g.mul(dy, g.plus(cdf, g.mul(v, density)))];
  },
  Clip: ({ g, x, y, dy }) => [g.where(g.op('Equal', [x[0], y]), dy, 0)],
  Add: pair(
    ({ dy }) => dy,
    ({ dy }) => dy,
  ),
  Sub: pair(
    ({ dy }) => dy,
    (s) => negate(s, s.dy),
  ),
  Mul: pair(
    ({ g, x, dy }) => g.mul(dy, x[1]),
    ({ g, x, dy }) => g.mul(dy, x[0]),
  ),
  Div: pair(
    ({ g, x, dy }) => g.over(dy, x[1]),
    (s) => negate(s, s.g.over(s.g.mul(s.dy, s.y), s.x[1])),
  ),
  Pow: pair(
    ({ g, x: [base, power], dy }) => {
      if (power.constant && Number(power.constant.data[0]) === 2 && power.constant.data.length === 1) {
        return g.mul(g.mul(dy, base), 2);
      }
      const exponent = g.cast(power, base.dtype);
      return g.mul(dy, g.mul(exponent, g.op('Pow', [base, g.minus(exponent, 1)])));
    },
    // where the base is 0 the power does not matter
    (s) => {
      const { g, x, y, dy } = s;
      const safe = g.where(positive(s, x[0]), x[0], 1);
      return g.mul(dy, g.mul(y, g.op('Log', [safe])));
    },
  ),
  Mod: pair(
    ({ dy }) => dy,
    (s) => {
      const whole = s.g.over(s.x[0], s.x[1]);
      const turns =
        int(s.node, 'fmod', 0) === 1
          ? s.g.mul(s.g.op('Sign', [whole]), s.g.op('Floor', [s.g.op('Abs', [whole])]))
          : s.g.op('Floor', [whole]);
      return negate(s, s.g.mul(s.dy, turns));
    },
  ),
  Min: extreme,
  Max: extreme,
  Sum: (s) => s.x.map((v, i) => (s.needs(i) ? unbroadcast(s.g, s.dy, v.shape) : null)),
  Mean: (s) => s.x.map((v, i) => (s.needs(i) ? unbroadcast(s.g, s.g.mul(s.dy, 1 / s.x.length), v.shape) : null)),
  Where: (s) => {
    const { g, x, dy } = s;
    return [
      null,
      s.needs(1) ? unbroadcast(g, g.where(x[0], dy, 0), x[1].shape) : null,
      s.needs(2) ? unbroadcast(g, g.where(x[0], 0, dy), x[2].shape) : null,
    ];
  },
  Cast: ({ g, x, dy }) => [x[0].dtype.startsWith('float') ? g.cast(dy, x[0].dtype) : null],
  Floor: 'flat',
  Ceil: 'flat',
  Round: 'flat',
  Sign: 'flat',
  Not: 'flat',
  And: 'flat',
  Or: 'flat',
  Xor: 'flat',
  Equal: 'flat',
  Greater: 'flat',
  GreaterOrEqual: 'flat',
  Less: 'flat',
  LessOrEqual: 'flat',
} satisfies Record<string, Rule | 'flat'>;
