/**
 * The command line: everything a window can do, for scripts and tests. Every command takes
 * `--json` (one JSON document on stdout, progress on stderr) and exits 0, 1 (foreseeable
 * trouble, as {code, message, hint, context}) or 2 (usage). Commands stand in one table,
 * `hosts/commands.ts`; this file parses, runs and prints.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { EngineError } from '../main/domain/errors.ts';
import type { Command, CommandContext } from './command.ts';
import { commands } from './commands.ts';

// Whoever reads the output may stop reading, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const argv = process.argv.slice(2);
process.exitCode = await main(argv);

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  const wantsJson = args.includes('--json');
  const command = commands[name];
  if (!command)
    return fail(wantsJson, 2, usageError(`There is no command “${name}”.`, 'Run “marginalia help” for the list.'));
  if (rest.includes('--help')) {
    console.log(usageOf(name, command));
    return 0;
  }
  let context: CommandContext;
  try {
    context = parse(name, command, rest);
  } catch (error) {
    return fail(
      wantsJson,
      2,
      usageError(error instanceof Error ? error.message : String(error), `Usage: ${usageOf(name, command)}`),
    );
  }
  try {
    const result = await command.run(context);
    if (result !== undefined) console.log(wantsJson ? JSON.stringify(result.json) : result.text);
    return result?.exitCode ?? 0;
  } catch (error) {
    if (error instanceof EngineError) return fail(wantsJson, error.code === 'usage' ? 2 : 1, error);
    throw error;
  }
}

function parse(name: string, command: Command, args: string[]): CommandContext {
  const options: NonNullable<ParseArgsConfig['options']> = { json: { type: 'boolean' } };
  for (const [option, kind] of Object.entries(command.options ?? {})) {
    options[option] = { type: kind === 'flag' ? 'boolean' : 'string' };
  }
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
  const least = command.positionals.filter((p) => !p.endsWith('?') && !p.endsWith('*')).length;
  const most = command.positionals.some((p) => p.endsWith('…') || p.endsWith('*'))
    ? Infinity
    : command.positionals.length;
  if (positionals.length < least || positionals.length > most) {
    throw new Error(`“${name}” takes ${command.positionals.map((p) => p.replace(/[?*]$/, '')).join(' ')}.`);
  }
  const progress = createProgress(process.stderr.isTTY);
  return { positionals, values: values as CommandContext['values'], progress };
}

/** Progress lines on stderr: rewritten in place on a terminal, else one for every change of stage or tenth. */
function createProgress(isTerminal: boolean): CommandContext['progress'] {
  let last = '';
  return (stage, done, total) => {
    const share = done !== null && total ? Math.floor((10 * done) / total) * 10 : null;
    const key = isTerminal ? `${stage}${done}` : `${stage}${share}`;
    if (key === last) return;
    last = key;
    const line = `${stage}${done === null ? '' : ` ${done}${total ? ` of ${total}` : ''}`}`;
    process.stderr.write(isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

function usageError(message: string, hint: string): EngineError {
  return new EngineError('usage', message, hint);
}

function fail(wantsJson: boolean, exitCode: number, error: EngineError): number {
  if (wantsJson) console.log(JSON.stringify(error));
  process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${error.message}\n${error.hint}\n`);
  return exitCode;
}

function usageOf(name: string, command: Command): string {
  const options = Object.entries(command.options ?? {}).map(([option, kind]) =>
    kind === 'flag' ? `[--${option}]` : `[--${option} ${kind}]`,
  );
  const positionals = command.positionals.map((p) => (/[?*]$/.test(p) ? `[${p.slice(0, -1)}]` : p));
  return ['marginalia', name, ...positionals, ...options, '[--json]'].join(' ');
}

function overview(): string {
  const lines = Object.entries(commands).map(([name, command]) => `  ${name.padEnd(11)} ${command.does}`);
  return ['marginalia COMMAND …', '', ...lines, '', 'Every command takes --json and --help.'].join('\n');
}
