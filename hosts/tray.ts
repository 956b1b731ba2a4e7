/**
 * `marginalia tray`: items that are not asked because something about them is unusual.
 * `marginalia subgroups`: how well the live version does in the groups of each attribute.
 * `marginalia drift`: imports compared with the pool that it was trained in.
 */
import { EngineError } from '../main/domain/errors.ts';
import { list, number, percent, text, withProject, type Command } from './command.ts';

export const tray: Command = {
  does: 'lists items that are not asked because something about them is unusual',
  positionals: ['DIR'],
  options: { limit: 'N', release: 'ITEM,ITEM', annotator: 'NAME' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const limit = number(context, 'limit', 50, (n) => Number.isInteger(n) && n >= 1);
      await project.tray.refresh();
      const released = list(context, 'release')?.map((item) => project.resolveItem(item)) ?? [];
      if (released.length > 0) project.tray.release(released, text(context, 'annotator') ?? 'cli');
      const { total, entries } = project.tray.list(limit);
      const items = entries.map(({ view, ...entry }) => ({ item: view.id, name: view.name, ...entry }));
      const lines = items.map(
        ({ item, name, reason, measure, score, usual }) =>
          `${reason.padEnd(8)}  ${item}  ${name}  ${measure} ${short(score)}, usually ${short(usual.low)} to ${short(usual.high)}`,
      );
      return { json: { total, items }, text: [`${total} items are in the tray.`, ...lines].join('\n') };
    }),
};

export const subgroups: Command = {
  does: 'shows accuracy in the groups of each attribute, and gaps that the numbers support',
  positionals: ['DIR'],
  options: { balance: 'NAME|none' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const balance = text(context, 'balance');
      if (balance !== undefined) {
        const known = (await project.evidence.subgroups()).columns.map(({ name }) => name);
        if (balance !== 'none' && !known.includes(balance)) {
          throw new EngineError(
            'usage',
            `There is no attribute “${balance}” with groups.`,
            known.length === 0 ? 'Import items with --attributes first.' : `Choose one of: ${known.join(', ')}.`,
          );
        }
        project.choosing.set({ balance: balance === 'none' ? null : { by: 'attribute', name: balance } });
      }
      const found = await project.evidence.subgroups();
      const lines = found.columns.flatMap(({ name, groups, gap }) => [
        name,
        ...groups.map(
          ({ value, items, audited, accuracy: { value: accuracy, low, high } }) =>
            `  ${value}: ${items} items, ${percent(accuracy)} (${percent(low)} – ${percent(high)}) of ${audited}`,
        ),
        ...(gap === null
          ? []
          : [
              `  ${gap.worst} is worse than ${gap.best} by ${percent(gap.difference.value)} (${percent(gap.difference.low)} – ${percent(gap.difference.high)}), p = ${gap.pValue.toFixed(4)}.`,
            ]),
      ]);
      if (found.columns.length === 0) lines.push('No attributes with groups.');
      if (found.balanced !== null) lines.push(`The queue evens out ${found.balanced}.`);
      return { json: found, text: lines.join('\n') };
    }),
};

export const drift: Command = {
  does: 'shows how imports since the first training differ from the pool it was done in',
  positionals: ['DIR'],
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      await project.tray.refresh();
      const imports = project.evidence.drift().map(({ examples, ...found }) => ({
        ...found,
        examples: examples.map(({ id, name }) => ({ item: id, name })),
      }));
      const lines = imports.flatMap(
        ({ source, items, alert, pValue, distance, predictionShift, predictionPValue, examples }) => [
          `${alert ? 'Differs' : 'Like before'}: ${source} (${items} items)`,
          `  items: distance ${distance.toFixed(3)}, p = ${pValue.toFixed(3)}; predicted classes: ${percent(predictionShift)} moved, p = ${predictionPValue.toFixed(3)}`,
          ...(alert ? [`  for example ${examples.map(({ name }) => name).join(', ')}`] : []),
        ],
      );
      return {
        json: { imports },
        text: lines.length === 0 ? 'Nothing was imported since the first training.' : lines.join('\n'),
      };
    }),
};

const short = (value: number) => value.toPrecision(3);
