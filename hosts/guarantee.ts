/**
 * `marginalia guarantee`: what could be promised now at one α and δ, overall and per class,
 * and the claim on record. The first is a preview that says “would”; only the claim is kept
 * whenever it is asked for. Also sets the levels of the claims to come, and draws spot checks.
 */
import type { ClaimData, GuaranteeData } from '../main/api.ts';
import type { Simulated, SimulationOptions } from '../main/compute-api.ts';
import { EngineError } from '../main/domain/errors.ts';
import { isShare, list, number, percent, withProject, type Command, type CommandContext } from './command.ts';

export const guarantee: Command = {
  does: 'says what could be settled at ALPHA and DELTA, and the claim on record; “--set” keeps the levels',
  positionals: ['DIR'],
  options: { alpha: 'A', delta: 'D', set: 'flag', 'spot-check': 'N' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const { evidence } = project;
      const levels = evidence.claims.levels();
      const alpha = number(context, 'alpha', levels.alpha, isShare);
      const delta = number(context, 'delta', levels.delta, isShare);
      if (context.values.set === true) evidence.claims.setLevels({ alpha, delta });
      const found = await evidence.guarantee(alpha, delta);
      // A look that is due is made before the claim is told.
      await project.refreshEvidence();
      const checks = number(context, 'spot-check', 0, (n) => n >= 0 && n <= 200);
      const drawn = checks > 0 ? evidence.claims.spotCheck(checks).drawn : 0;
      const claim = evidence.claims.claim();
      const nextLookAt = evidence.claims.nextLook().at;
      return {
        json: {
          ...found,
          look: claim?.look ?? null,
          spent: claim?.spent ?? null,
          nextLookAt,
          claim,
          spotChecks: { drawn, ...evidence.claims.spotChecks() },
        },
        text: [
          previewLine(found),
          ...perClassLines(found.perClass),
          claimLine(claim, nextLookAt),
          ...(drawn > 0 ? [`${drawn} settled items were drawn by chance and come next in the queue.`] : []),
        ].join('\n'),
      };
    }),
};

function previewLine({ alpha, delta, threshold, settled, needed, auditSize }: GuaranteeData): string {
  if (threshold === null) {
    const missing = needed === null ? '' : `: label ${needed} more audit items to be able to`;
    return `Nothing could be said at ${percent(alpha)} on ${auditSize} audit items${missing}.`;
  }
  return `${settled} items would be settled: at most ${percent(alpha)} of their labels wrong, with probability ${percent(1 - delta)}.`;
}

function perClassLines(perClass: readonly (GuaranteeData & { class: string; allAtOnce: boolean })[]): string[] {
  return perClass
    .filter(({ allAtOnce }) => !allAtOnce)
    .map(({ class: name, threshold, settled, auditSize, needed }) => {
      const said =
        threshold === null ? `nothing yet${needed === null ? '' : `, ${needed} more needed`}` : `${settled} would be`;
      return `  suggested ${name} (${auditSize} audit items): ${said}`;
    });
}

function claimLine(claim: ClaimData | null, nextLookAt: number): string {
  const next = `The ${claim ? 'next' : 'first'} look is at ${nextLookAt} audit items.`;
  if (!claim) return `No claim yet. ${next}`;
  if (claim.withdrawn) return `The claim of look ${claim.look} was withdrawn after spot checks. ${next}`;
  if (claim.threshold === null) return `Look ${claim.look} found nothing to claim. ${next}`;
  return `Claimed at look ${claim.look}: at most ${percent(claim.alpha)} of ${claim.settled} items are wrong (${claim.open} still open). All claims ever made are true with probability ${percent(1 - claim.delta)}. ${next}`;
}

/** What `simulate --guarantee ALPHA,DELTA --trials N` asks for; undefined without the option. Errors: `usage`. */
export function guaranteeTried(context: CommandContext): SimulationOptions['guarantee'] {
  const levels = list(context, 'guarantee')?.map(Number);
  const trials = number(context, 'trials', 200, (n) => n >= 1 && n <= 100_000);
  if (!levels) return undefined;
  const [alpha, delta] = levels;
  if (levels.length !== 2 || !isShare(alpha) || !isShare(delta)) {
    throw new EngineError(
      'usage',
      'A guarantee is tried at two shares, alpha and delta.',
      'Add, for example, --guarantee 0.05,0.1 --trials 200.',
    );
  }
  return { alpha, delta, trials };
}

/** The trials in words; nothing where none were asked for. */
export function trialLines(tried: Simulated['guarantee']): string[] {
  if (!tried) return [];
  const { alpha, delta, trials, splits, auditSize } = tried;
  return [
    `Guarantee at α = ${alpha}, δ = ${delta}: ${trials} trials on ${splits} splits, ${auditSize.toFixed(1)} audit items.`,
    `  At the end: ${percent(tried.settledFraction)} settled, violated in ${percent(tried.violationRate)} of trials.`,
    `  At ${tried.looks.toFixed(1)} looks: ${percent(tried.claimedFraction)} settled, any claim violated in ${percent(tried.anyClaimViolated)}.`,
  ];
}
