/**
 * What the store's tests run in processes of their own: `race` opens and dies holding the
 * lock, `create` makes a project, `label` and `import` write until killed and print what
 * is acknowledged.
 */
import fs from 'node:fs';
import { itemIdOf, type ItemId } from '../../main/domain/item.ts';
import { EngineError } from '../../main/domain/errors.ts';
import { createProject, openProject } from '../../main/store/index.ts';

const [command, dir] = process.argv.slice(2);
const clock = () => Date.now();
const say = (line: string) => void fs.writeSync(1, `${line}\n`);

/** Keeps the process until it is killed: the operating system lets go of the lock. */
const holdOn = () => void setInterval(() => {}, 1000);

function labelForever(): void {
  const store = openProject(dir, { clock });
  const ids: ItemId[] = store.items.list({ limit: 50 }).map(({ id }) => id);
  const classes = store.schema.current().classes;
  say('ready');
  for (let i = 0; ; i++) {
    const item = ids[i % ids.length];
    const done =
      i % 5 === 4
        ? store.annotations.undo({ annotator: 'kim' })
        : store.annotations.append({
            item,
            act: 'label',
            classes: [classes[i % 3]],
            annotator: 'kim',
            durationMs: i,
            // Some are second readings, where the item has a label by now.
            repeats: i % 3 === 1 ? store.readings.labelOf(item) : null,
          });
    say(`${done.sequence} ${done.hash}`);
  }
}

function importForever(): void {
  const store = openProject(dir, { clock });
  const job = store.jobs.interrupted()[0] ?? store.jobs.start(store.jobs.enqueue('import', {}).id);
  let next = (job.cursor as number | null) ?? 0;
  say('ready');
  for (;;) {
    const batch = Array.from({ length: 40 }, (_, i) => {
      const parts = [{ kind: 'numbers' as const, values: { n: next + i } }];
      const external = `row ${next + i}`;
      return {
        id: itemIdOf(parts, external),
        name: external,
        parts,
        group: `patient ${(next + i) >> 2}`,
        label: ['round'],
        fingerprint: null,
        source: external,
      };
    });
    next += batch.length;
    store.items.addCandidates(batch, { job: job.id, cursor: next, labels: next % 80 ? 'given' : 'oracle' });
    say(String(next));
  }
}

try {
  if (command === 'race') {
    openProject(dir, { clock });
    say('opened');
    holdOn();
  } else if (command === 'create') {
    createProject(dir, { name: 'one', task: 'classify', classes: ['a', 'b'], seed: 1, clock });
    say('created');
    holdOn();
  } else if (command === 'label') {
    labelForever();
  } else {
    importForever();
  }
} catch (error) {
  if (!(error instanceof EngineError)) throw error;
  say(error.code);
}
