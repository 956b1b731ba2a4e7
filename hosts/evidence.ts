/**
 * `marginalia evidence`: what can be believed of the version in use, as numbers: metrics on
 * the audit set, the forecast, labels saved, and what each rule for stopping says.
 */
import type {
  EvidenceReportData,
  ForecastData,
  MeasuredData,
  SavedData,
  StopAdviceData,
} from '../main/api-evidence.ts';
import { isShare, number, percent, withProject, type Command } from './command.ts';

export const evidence: Command = {
  does: 'measures the live version: metrics, forecast, labels saved, advice to stop',
  positionals: ['DIR'],
  options: { target: 'SHARE' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const target = context.values.target === undefined ? null : number(context, 'target', 0.9, isShare);
      const report = await (target === null ? project.evidence.reportNow() : project.evidence.setTarget(target));
      return {
        json: report,
        text: report ? described(report) : 'There is no model version yet: label and train first.',
      };
    }),
};

function described(report: EvidenceReportData): string {
  const { metrics, perClass, audit, forecast, saved, stopping } = report;
  const width = Math.max(...perClass.map((own) => own.class.length));
  return [
    `Version ${report.modelVersion}, seed ${report.seed}, on ${audit.n} audit items (${audit.components} independent).`,
    `  accuracy           ${share(metrics.accuracy)}`,
    `  balanced accuracy  ${share(metrics.balancedAccuracy)}`,
    `  macro F1           ${share(metrics.macroF1)}`,
    `  AUROC              ${share(metrics.auroc)}`,
    `  calibration error  ${share(metrics.ece)}`,
    ...perClass.map(
      (own) =>
        `  ${own.class.padEnd(width)}  sensitivity ${share(own.sensitivity)}  specificity ${share(own.specificity)}`,
    ),
    forecastLine(forecast),
    savedLine(saved),
    ...stopping.map(adviceLine),
  ].join('\n');
}

const share = ({ value, low, high }: MeasuredData) => `${percent(value)} (${percent(low)} – ${percent(high)})`;

interface Bounds {
  value: number | null;
  low: number;
  high: number | null;
}

/** Two figures are more than such an interval deserves. */
const rough = (n: number) => String(Number(n.toPrecision(2)));
const ends = ({ low, high }: Bounds) => `${rough(low)} to ${high === null ? 'no upper end' : rough(high)}`;
const range = (of: Bounds) => `${of.value === null ? 'out of sight' : `about ${rough(of.value)}`} (${ends(of)})`;

/** The forecast in a line. */
export function forecastLine({ code, target, labelsAtTarget, labelsLeft, never }: ForecastData): string {
  const aim = `Forecast for ${percent(target)}:`;
  if (labelsAtTarget === null || code === 'too-few') return `${aim} too few audit items or labels yet.`;
  if (code === 'reached') return `${aim} likely reached.`;
  const doubt = `With probability ${percent(never)} more labels alone never get there.`;
  return `${aim} ${range(labelsAtTarget)} training labels, ${range(labelsLeft!)} more in all. ${doubt}`;
}

function savedLine({ code, saved }: SavedData): string {
  if (saved === null) return 'Labels saved: too few audit items to say.';
  if (code === 'none') return `Labels saved: cannot be told from none yet (${ends(saved)}).`;
  return `Labels saved, compared with random ones: ${code === 'at-least' ? `at least ${rough(saved.low)}` : range(saved)}.`;
}

const RULES: Record<StopAdviceData['rule'], string> = {
  stable: 'suggestions have become stable',
  gain: 'another hour adds next to nothing',
  guarantee: 'most of what is left needs no eyes',
  confident: 'the model is sure nearly everywhere',
};

const adviceLine = ({ rule, met }: StopAdviceData) =>
  `${met === null ? 'Cannot be said yet' : met ? 'A reason to stop' : 'No reason to stop'}: ${RULES[rule]}.`;
