/**
 * What happens to a project's files behind its back: a copy without its log, a log of
 * another database or of another day, a folder that is moved and a file that is exchanged
 * while it is open. None of it goes by without a word, and nothing acknowledged is lost
 * that is still to be had.
 */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { createProject, openProject, type ProjectStore } from '../../main/store/index.ts';
import { candidate, closing, codeOf, fill, newProject, temporaryFolder } from '../store/projects.ts';

const clock = () => Date.now();
const isWindows = process.platform === 'win32';

/** What opening and checking a folder comes to: a code, or what `verify` finds and how many acts there are. */
function outcome(dir: string): string {
  let store: ProjectStore | null = null;
  const code = codeOf(() => (store = openProject(dir, { clock })));
  if (store === null) return code;
  const opened: ProjectStore = store;
  const { problems } = opened.verify();
  const acts = opened.annotations.head().sequence;
  opened.close();
  return `${acts} acts, ${problems[0]?.code ?? 'ok'}`;
}

describe('files of a project', () => {
  const folder = fs.mkdtempSync(path.join(temporaryFolder(), '..', 'marginalia-pairs-'));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  const of = (name: string) => path.join(folder, name);

  /** A folder put together of files from others, each `FROM>NAME`. */
  function assembled(...files: string[]): string {
    const dir = fs.mkdtempSync(of('assembled-'));
    for (const [from, name] of files.map((each) => each.split('>'))) fs.copyFileSync(of(from), path.join(dir, name));
    return dir;
  }

  function make(name: string, labels: number): ProjectStore {
    const store = createProject(of(name), { name, task: 'classify', classes: ['a', 'b'], seed: 1, clock });
    const job = store.jobs.enqueue('import', {}).id;
    const candidates = Array.from({ length: 300 }, (_, i) => candidate(`${name} ${i} ${'x'.repeat((i % 50) * 10)}`));
    store.items.addCandidates(candidates, { job, cursor: null });
    label(store, 0, labels);
    return store;
  }
  function label(store: ProjectStore, from: number, to: number): void {
    for (const { id } of store.items.list({ limit: 300 }).slice(from, to))
      store.annotations.append({ item: id, act: 'label', classes: ['a'], annotator: 'kim', durationMs: 1 });
  }

  beforeAll(() => {
    const a = make('a', 100);
    a.close();
    // Opened again, so that the database holds 100 acts and the log what comes after.
    const open = openProject(of('a'), { clock });
    label(open, 100, 150);
    fs.mkdirSync(of('kept'));
    for (const name of ['project.sqlite', 'project.sqlite-wal', 'project.head'])
      fs.copyFileSync(of(`a/${name}`), of(`kept/${name}`));
    label(open, 150, 300);
    open.close();
    const b = make('b', 250);
    fs.copyFileSync(of('b/project.sqlite-wal'), of('kept/log of b'));
    b.close();
  });

  it('are whole when database, log and head are copied together', () => {
    expect(
      outcome(
        assembled(
          'kept/project.sqlite>project.sqlite',
          'kept/project.sqlite-wal>project.sqlite-wal',
          'kept/project.head>project.head',
        ),
      ),
    ).toBe('150 acts, ok');
  });

  it('are found short when the log was left behind', () => {
    expect(outcome(assembled('kept/project.sqlite>project.sqlite', 'kept/project.head>project.head'))).toBe(
      '100 acts, head-differs',
    );
  });

  it('are refused or found out with the log of another database', () => {
    const files = ['a/project.sqlite>project.sqlite', 'kept/log of b>project.sqlite-wal'];
    expect(outcome(assembled(...files, 'a/project.head>project.head'))).toMatch(/^(project-damaged|\d+ acts, (?!ok))/);
    expect(outcome(assembled(...files))).toMatch(/^(project-damaged|\d+ acts, (?!ok))/);
  });

  it('are found out with a log of another day, which takes the database back', () => {
    const files = ['a/project.sqlite>project.sqlite', 'kept/project.sqlite-wal>project.sqlite-wal'];
    expect(outcome(assembled(...files, 'a/project.head>project.head'))).toMatch(/^(project-damaged|\d+ acts, (?!ok))/);
  });

  it('say what is missing where the database alone was copied and all of it is in the log', () => {
    const store = make('young', 3);
    const dir = assembled('young/project.sqlite>project.sqlite');
    store.close();
    expect(codeOf(() => openProject(dir, { clock }))).toBe('project-not-found');
    expect(() => openProject(dir, { clock })).toThrow(/holds nothing/);
  });
});

describe('a project that is open', () => {
  const act = (store: ProjectStore) => {
    const [item] = store.items.list({ limit: 1 });
    return store.annotations.append({ item: item.id, act: 'flag', annotator: 'kim', durationMs: 1 });
  };

  it.skipIf(isWindows)('refuses to go on when its folder was renamed, and everything is at the new place', () => {
    const store = newProject({}, path.join(temporaryFolder(), 'before'));
    fill(store, 3);
    const made = act(store);
    const after = path.join(path.dirname(store.dir), 'after');
    fs.renameSync(store.dir, after);
    expect(codeOf(() => openProject(after, { clock }))).toBe('project-locked');
    expect(codeOf(() => act(store))).toBe('place-unsafe');
    expect(codeOf(() => store.counts())).toBe('place-unsafe');
    store.close();
    const again = closing(openProject(after, { clock }));
    expect([...again.annotations.all()]).toEqual([made]);
    expect(again.verify()).toEqual({ ok: true, problems: [] });
  });

  it.skipIf(isWindows)(
    'notices that its file was exchanged before the next act, and writes beside it what was saved',
    () => {
      const older = newProject();
      const store = newProject();
      fill(older, 3);
      fill(store, 3);
      older.close();
      const made = [act(store), act(store)];
      const file = path.join(store.dir, 'project.sqlite');
      // As synchronising programs do: written beside it, then put in its place.
      fs.copyFileSync(path.join(older.dir, 'project.sqlite'), `${file}.incoming`);
      fs.renameSync(`${file}.incoming`, file);
      expect(codeOf(() => act(store))).toBe('place-unsafe');
      expect(() => act(store)).toThrow(/exchanged .+ What was saved in it lies in /);
      const rescued = path.join(temporaryFolder(), 'project.sqlite');
      fs.copyFileSync(path.join(store.dir, `project.rescued-${process.pid}.sqlite`), rescued);
      store.close();
      const again = closing(openProject(path.dirname(rescued), { clock }));
      expect([...again.annotations.all()]).toEqual(made);
    },
  );

  it('goes on where nothing was moved', () => {
    const store = newProject();
    fill(store, 3);
    fs.utimesSync(path.join(store.dir, 'project.sqlite'), 1, 1);
    fs.writeFileSync(path.join(store.dir, 'a note'), 'beside it');
    expect(act(store).sequence).toBe(1);
  });
});
