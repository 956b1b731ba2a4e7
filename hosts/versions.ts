/**
 * `marginalia versions`: lists the model versions, or writes one as a file that runs without
 * this program, whole or as int8 with what that costs.
 */
import { resolve } from 'node:path';
import type { VersionExported } from '../main/api-version-export.ts';
import { EngineError } from '../main/domain/errors.ts';
import { outcome, percent, withProject, type Command, type CommandContext } from './command.ts';

export const versions: Command = {
  does: 'lists the model versions; “export V OUT” writes one as an ONNX file',
  positionals: ['DIR', 'export?', 'V?', 'OUT?'],
  options: { int8: 'flag' },
  run: (context) => {
    const asked = exportAsked(context);
    return withProject(context.positionals[0], context, async (project) => {
      if (asked) {
        const exported = outcome(await project.exportVersion(asked).finished) as unknown as VersionExported;
        return { json: exported, text: described(exported) };
      }
      await project.refreshEvidence();
      const found = project.versions();
      return {
        json: { versions: found },
        text: found
          .map(
            (v) =>
              `${v.live ? '*' : ' '} ${v.version}  ${v.labels} labels  audit ${percent(v.audit.accuracy)} of ${v.audit.n}  ${v.state}`,
          )
          .join('\n'),
      };
    });
  },
};

function exportAsked({ positionals: [, act, version, out], values }: CommandContext) {
  const int8 = values.int8 === true;
  if (act === undefined && !int8) return null;
  if (act !== 'export' || out === undefined || !/^\d+$/.test(version)) {
    throw new EngineError(
      'usage',
      'To write a version as a file, its number and the file are needed.',
      'Use “marginalia versions DIR export 3 model.onnx”, with --int8 for a smaller file.',
    );
  }
  return { version: Number(version), file: resolve(out), int8 };
}

function described({ version, file, sizeBytes, sizeBytesBefore, speed, audit }: VersionExported): string {
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
  const lines = [
    `Wrote version ${version} to ${file} (${kilobytes(sizeBytes)}; the version: ${kilobytes(sizeBytesBefore)}).`,
  ];
  if (speed !== null) lines.push(`It takes ${(1 / speed).toFixed(2)} times the version’s time.`);
  if (!audit) return lines.join('\n');
  if (audit.before && audit.after)
    lines.push(`On the audit set ${percent(audit.after.accuracy)} instead of ${percent(audit.before.accuracy)}.`);
  lines.push(
    `Another suggestion for ${audit.changed} of ${audit.n} items; probabilities differ by at most ${audit.largestDifference.toFixed(4)}.`,
  );
  return lines.join('\n');
}
