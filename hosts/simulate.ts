/**
 * `marginalia simulate`: replays the loop with the oracle's labels and prints a table of
 * accuracies, a column per strategy, and what became of the guarantee where it was tried.
 */
import type { Simulated } from '../main/compute-api.ts';
import { isShare, list, number, outcome, withProject, type Command } from './command.ts';
import { guaranteeTried, trialLines } from './guarantee.ts';

export const simulate: Command = {
  does: 'replays the loop with oracle labels',
  positionals: ['DIR'],
  options: {
    strategies: 'random,margin,…',
    budget: 'N',
    batch: 'N',
    start: 'N',
    seeds: 'N',
    'test-fraction': 'F',
    guarantee: 'ALPHA,DELTA',
    trials: 'N',
  },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const job = await project.simulate({
        strategies: list(context, 'strategies') ?? ['default', 'random'],
        budget: number(context, 'budget', 300, (n) => n >= 1),
        batch: number(context, 'batch', 20, (n) => n >= 1),
        start: number(context, 'start', 20, (n) => n >= 1),
        seeds: number(context, 'seeds', 3, (n) => n >= 1 && n <= 1000),
        testFraction: number(context, 'test-fraction', 0.25, isShare),
        guarantee: guaranteeTried(context),
      }).finished;
      const result = outcome(job) as unknown as Simulated;
      return { json: result, text: [simulationTable(result), ...trialLines(result.guarantee)].join('\n') };
    }),
};

function simulationTable({ curves }: Simulated): string {
  const strategies = [...new Set(curves.map((curve) => curve.strategy))];
  const labels = [...new Set(curves.flatMap((curve) => curve.points.map((point) => point.labels)))].sort(
    (a, b) => a - b,
  );
  const rows = labels.map((count) => {
    const means = strategies.map((strategy) => {
      const points = curves
        .filter((curve) => curve.strategy === strategy)
        .flatMap((curve) => curve.points.filter((point) => point.labels === count));
      return points.length === 0
        ? '–'
        : (points.reduce((sum, point) => sum + point.accuracy, 0) / points.length).toFixed(3);
    });
    return [String(count), ...means].map((cell) => cell.padStart(14)).join('');
  });
  return [['labels', ...strategies].map((cell) => cell.padStart(14)).join(''), ...rows].join('\n');
}
