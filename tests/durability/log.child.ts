/**
 * How many annotations a project has: `node log.child.ts DIR store` asks the store, `driver`
 * asks the driver alone. Prints the number or an error's code.
 */
import path from 'node:path';
import Database from 'better-sqlite3';
import { openProject } from '../../main/store/index.ts';

const [dir, who] = process.argv.slice(2);

function counted(): number {
  if (who === 'driver') {
    const db = new Database(path.join(dir, 'project.sqlite'), { readonly: true });
    return db.prepare<[], number>('SELECT count(*) FROM annotations').pluck().get() ?? -1;
  }
  const store = openProject(dir, { clock: () => 9_000_000 });
  const { sequence } = store.annotations.head();
  store.close();
  return sequence;
}

try {
  console.log(counted());
} catch (error) {
  console.log((error as { code: string }).code);
}
