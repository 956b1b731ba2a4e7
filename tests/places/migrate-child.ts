/**
 * Brings a project's file to the newest format and dies by SIGKILL after the statement
 * whose number is given, counted over all steps that the file still has to take.
 */
import path from 'node:path';
import { connectWriter, enterWal } from '../../main/store/connection.ts';
import { migrate } from '../../main/store/migrations.ts';
import { statementsOf, stepsWith } from './statements.ts';

const [dir, format, number] = process.argv.slice(2);
const file = path.join(dir, 'project.sqlite');
const db = connectWriter(file);
db.function('die', () => {
  process.kill(process.pid, 'SIGKILL');
  return 0;
});
enterWal(db);
const all = statementsOf(Number(format));
migrate(db, file, undefined, stepsWith('SELECT die();', all, Number(number)));
