/**
 * One of several that want the same project: obeys lines on its standard input (`open DIR`,
 * `create DIR`, `restore FILE DIR`, `become UID`, `close`) and answers each with a line:
 * how it went and how many milliseconds it took.
 */
import { createInterface } from 'node:readline';
import { EngineError } from '../../main/domain/errors.ts';
import { createProject, openProject, restoreBackup, type ProjectStore } from '../../main/store/index.ts';

const clock = () => Date.now();
let held: ProjectStore | null = null;

function obey(command: string, first: string, second: string): string {
  switch (command) {
    case 'open':
      held = openProject(first, { clock });
      return 'opened';
    case 'create':
      held = createProject(first, { name: 'one', task: 'classify', classes: ['a', 'b'], seed: 1, clock });
      return 'created';
    case 'restore':
      restoreBackup(first, second);
      return 'restored';
    case 'become':
      process.setgid?.(Number(first));
      process.setuid?.(Number(first));
      return 'became';
    default:
      held?.close();
      held = null;
      return 'closed';
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, first = '', second = ''] = line.split('\t');
  const began = performance.now();
  let said: string;
  try {
    said = obey(command, first, second);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    said = error.code;
  }
  process.stdout.write(`${said}\t${(performance.now() - began).toFixed(0)}\n`);
});
process.stdout.write('ready\t0\n');
