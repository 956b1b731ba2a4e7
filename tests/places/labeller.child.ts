/**
 * Labels, takes back, imports and keeps model versions in the project whose folder is
 * given, until it is told to end by SIGTERM; each act is noted as `sequence hash` in the
 * file given second, after it was acknowledged.
 */
import fs from 'node:fs';
import { itemIdOf } from '../../main/domain/item.ts';
import { openProject } from '../../main/store/index.ts';

const [dir, notes] = process.argv.slice(2);
const store = openProject(dir, { clock: () => Date.now() });
const noted = fs.openSync(notes, 'a');
const classes = store.schema.current().classes;
const job = store.jobs.enqueue('import', {}).id;
let isOver = false;
process.on('SIGTERM', () => (isOver = true));

let imported = 0;
function importSome(): void {
  const batch = Array.from({ length: 20 }, () => {
    const name = `row ${imported++}`;
    const parts = [{ kind: 'numbers' as const, values: { n: imported } }];
    return { id: itemIdOf(parts, name), name, parts, group: null, label: null, fingerprint: null, source: name };
  });
  store.items.addCandidates(batch, { job, cursor: imported });
}

for (let i = 0; !isOver; i++) {
  if (i % 200 === 0) importSome();
  if (i % 300 === 0) {
    const blob = store.blobs.put(Buffer.from(`version ${i}`));
    store.versions.add({ blob, encoder: null, run: null, card: {}, metrics: {} });
  }
  const items = store.items.list({ after: (i * 7) % imported, limit: 1 });
  const item = (items[0] ?? store.items.list({ limit: 1 })[0]).id;
  const act =
    i % 5 === 4
      ? store.annotations.undo({ annotator: 'kim' })
      : store.annotations.append({ item, act: 'label', classes: [classes[i % 3]], annotator: 'kim', durationMs: i });
  fs.writeSync(noted, `${act.sequence} ${act.hash}\n`);
  // So that SIGTERM is heard.
  if (i % 25 === 0) await new Promise((resolve) => setImmediate(resolve));
}
store.close();
