/**
 * The audit trail on the command line: its last entries, or all of it in a file that
 * `verify-audit.mjs` checks without this program.
 */
import { number, text, withProject, type Command } from './command.ts';

const when = (at: number) => new Date(at).toISOString();

export const audit: Command = {
  does: 'shows who did what and when; with --out writes all of it to a file that can be checked elsewhere',
  positionals: ['DIR'],
  options: { limit: 'N', out: 'FILE' },
  run: (context) =>
    withProject(context.positionals[0], context, async (project) => {
      const out = text(context, 'out');
      if (out !== undefined) {
        const written = await project.trail.export(out);
        const { entry, hash } = written.head;
        return {
          json: written,
          text: `Wrote ${entry} entries to ${written.file}. Note the last one’s number and hash elsewhere: ${entry} ${hash}`,
        };
      }
      const limit = number(context, 'limit', 20, (n) => Number.isInteger(n) && n >= 1);
      const { head, entries } = project.trail.list({ limit });
      const lines = entries.map(
        ({ entry, at, who, call, subject }) => `${entry}  ${when(at)}  ${who}  ${call}  ${JSON.stringify(subject)}`,
      );
      return { json: { head, entries }, text: [...lines, `Head: ${head.entry} ${head.hash}`].join('\n') };
    }),
};
