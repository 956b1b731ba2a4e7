/**
 * `marginalia looks`: labels worth a second look, the most useful first. `marginalia
 * consistency`: how well annotators agree with themselves and with each other, and how often
 * the queue asks for that.
 */
import { isShare, number, percent, withProject, type Command } from './command.ts';

export const looks: Command = {
  does: 'lists labels worth a second look, with what speaks against them',
  positionals: ['DIR'],
  options: { limit: 'N' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const limit = number(context, 'limit', 50, (n) => n >= 1);
      await project.looks.refresh();
      const { total, modelVersion, looks: listed } = project.looks.list(limit);
      const items = listed.map(({ view, ...look }) => ({ item: view.id, name: view.name, ...look }));
      const lines = items.map(({ item, name, reason, readings, fused, score }) => {
        const said = readings.map(({ annotator, classes }) => `${annotator}: ${classes.join('+') || '–'}`).join(', ');
        const other = fused ? `; rather ${fused.classes.join('+') || '–'} (${percent(fused.probability)})` : '';
        return `${score.toFixed(3)}  ${reason.padEnd(17)} ${item}  ${name}  ${said}${other}`;
      });
      return {
        json: { total, modelVersion, looks: items },
        text: [`${total} labels are worth a second look.`, ...lines].join('\n'),
      };
    }),
};

export const consistency: Command = {
  does: 'shows agreement of annotators with themselves and each other, and their pace',
  positionals: ['DIR'],
  options: { share: 'S', after: 'N', 'other-share': 'S' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const before = project.looks.consistency().readings;
      const asked = {
        share: number(context, 'share', before.share, (n) => n >= 0 && n <= 0.2),
        after: number(context, 'after', before.after, (n) => Number.isInteger(n) && n >= 5),
        otherShare: number(context, 'other-share', before.otherShare, (n) => n === 0 || isShare(n)),
      };
      const isSet = Object.keys(context.values).some((option) => option !== 'json');
      const found = isSet ? project.looks.setReadings(asked) : project.looks.consistency();
      const agreement = ({ pairs, agreement: { value }, kappa }: (typeof found.annotators)[number] | Pair) =>
        pairs === 0
          ? 'nothing read twice'
          : `${percent(value)} of ${pairs} alike, kappa ${kappa.value === null ? '–' : `${kappa.value.toFixed(2)} (${kappa.low.toFixed(2)} – ${kappa.high.toFixed(2)})`}`;
      const { annotators, between, readings } = found;
      const seconds = (value: number | null) => (value === null ? '–' : `${value.toFixed(1)} s`);
      return {
        json: found,
        text: [
          ...annotators.map(
            (a) => `${a.annotator}: ${a.labels} labels, ${agreement(a)}, ${seconds(a.pace.usualSeconds)} a label.`,
          ),
          ...(between?.pairs ?? []).map((pair) => `${pair.a} and ${pair.b}: ${agreement(pair)}.`),
          ...(between?.alpha?.value == null
            ? []
            : [`Krippendorff’s alpha ${between.alpha.value.toFixed(2)} on ${between.items} items.`]),
          `${readings.made} second readings; ${percent(readings.share)} of the places, after ${readings.after} labels.`,
        ].join('\n'),
      };
    }),
};

type Pair = NonNullable<
  ReturnType<import('../main/project.ts').Project['looks']['consistency']>['between']
>['pairs'][number];
