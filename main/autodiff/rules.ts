/**
 * The table of derivatives: one line per operator, total by type, so that an operator can be
 * neither forgotten nor half known. 'flat' says that the derivative is zero wherever it exists.
 */
import type { Op } from './shapes.ts';
import type { Rule } from './rule.ts';
import { CONVOLUTION_RULES } from './rules-convolution.ts';
import { ELEMENTWISE_RULES } from './rules-elementwise.ts';
import { LINEAR_RULES } from './rules-linear.ts';
import { MOVING_RULES } from './rules-moving.ts';
import { POOL_RULES } from './rules-pooling.ts';
import { REDUCING_RULES } from './rules-reducing.ts';

export const RULES: Readonly<Record<Op, Rule | 'flat'>> = {
  ...ELEMENTWISE_RULES,
  ...LINEAR_RULES,
  ...CONVOLUTION_RULES,
  ...POOL_RULES,
  ...REDUCING_RULES,
  ...MOVING_RULES,
  Stated: ({ g, y, dy }) => [null, ...g.statement(y)(dy)],
};
