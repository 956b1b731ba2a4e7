/**
 * `marginalia explain`: what in an item speaks for a class. The JSON is the engine's answer;
 * for people the strongest words, measurements, and places of the picture.
 */
import { resolve } from 'node:path';
import type { ExplanationData, ExplanationPartData, ExplanationQuestion } from '../main/api.ts';
import { choice, number, text, withProject, type Command } from './command.ts';

const SHOWN = 8;
const METHODS = [
  'auto',
  'grad-cam',
  'integrated-gradients',
  'occlusion',
] as const satisfies ExplanationQuestion['method'][];

export const explain: Command = {
  does: 'says what in an item speaks for a class, and what against it',
  positionals: ['DIR', 'ITEM'],
  options: { class: 'C', method: 'auto|grad-cam|integrated-gradients|occlusion', version: 'V' },
  run: (context) =>
    withProject(resolve(context.positionals[0]), context, async (project) => {
      const item = project.resolveItem(context.positionals[1]);
      const explanation = await project.explain({
        item,
        class: text(context, 'class'),
        method: choice<(typeof METHODS)[number]>(context, 'method', METHODS, 'auto'),
        version: text(context, 'version') === undefined ? undefined : number(context, 'version', 1, Number.isInteger),
      });
      const { parts } = project.item(item);
      const textOf = (part: number) => {
        const own = parts[part];
        return own.kind === 'text' ? own.text : '';
      };
      return { json: explanation, text: described(explanation, textOf) };
    }),
};

function described(
  { class: name, logOdds, version, parts }: ExplanationData,
  textOf: (part: number) => string,
): string {
  const head = `${name}: log odds ${logOdds.toFixed(2)} under version ${version}. 1 speaks most for it, below 0 speaks against it.`;
  return [head, ...parts.flatMap((part) => [`Part ${part.part}, ${part.method}:`, ...lines(part, textOf)])].join('\n');
}

function lines(part: ExplanationPartData, textOf: (part: number) => string): string[] {
  const strongest = (said: [string, number][]) =>
    [...new Map(said)]
      .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a))
      .slice(0, SHOWN)
      .map(([what, value]) => `  ${value.toFixed(2).padStart(5)}  ${what}`);
  if (part.kind === 'numbers') return strongest(Object.entries(part.values));
  if (part.kind === 'text') {
    const whole = textOf(part.part);
    return strongest(part.spans.map(({ from, to, value }) => [whole.slice(from, to).toLowerCase(), value]));
  }
  const { width, height, values } = part;
  const at = values.indexOf(Math.max(...values));
  const place = [(at % width) / width, Math.floor(at / width) / height].map((share) => `${Math.round(100 * share)} %`);
  return [`  strongest ${place[0]} from the left, ${place[1]} from the top`];
}
