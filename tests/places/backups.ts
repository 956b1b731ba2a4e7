/** Backups taken while another process labels as fast as it can, each restored and compared with what was acknowledged at that moment. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { backupProject, openProject, openReader, restoreBackup } from '../../main/store/index.ts';

/** One kind of copy: makes it, and turns it into a project. */
export interface CopyingMethod {
  copy(dir: string, to: string): void;
  restore(from: string, dir: string): void;
}

export const OURS: CopyingMethod = { copy: backupProject, restore: restoreBackup };

/** What people do by hand, and must not: the database without its log. */
export const BY_HAND: CopyingMethod = {
  copy: (dir, to) => fs.copyFileSync(path.join(dir, 'project.sqlite'), to),
  restore(from, dir) {
    fs.mkdirSync(dir);
    fs.copyFileSync(from, path.join(dir, 'project.sqlite'));
  },
};

export interface Copied {
  copies: number;
  /** Acts that had been acknowledged before the copies began, all copies together. */
  acknowledged: number;
  /** Acts made while a copy was being made, the most of any. */
  meanwhile: number;
  problems: string[];
}

/** Takes `count` copies of a project that is being written to, in `folder`. */
export async function copyUnderLoad(project: string, count: number, folder: string, method = OURS): Promise<Copied> {
  const notes = path.join(folder, 'acknowledged');
  fs.writeFileSync(notes, '');
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'labeller.child.ts'), project, notes], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const acknowledged = () => fs.readFileSync(notes, 'utf8').split('\n').slice(0, -1);
  const taken: { file: string; before: string[]; after: number }[] = [];
  const result: Copied = { copies: 0, acknowledged: 0, meanwhile: 0, problems: [] };
  try {
    while (acknowledged().length < 20 && child.exitCode === null) await pause(10);
    for (let i = 0; i < count; i++) {
      const before = acknowledged();
      const file = path.join(folder, `copy ${i}`);
      method.copy(project, file);
      taken.push({ file, before, after: acknowledged().length });
      await pause((i * 13) % 40);
    }
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  const reader = openReader(project);
  const all = [...reader.annotations.all()].map(({ sequence, hash }) => `${sequence} ${hash}`);
  reader.close();
  for (const [i, { file, before, after }] of taken.entries()) {
    const dir = path.join(folder, `restored ${i}`);
    try {
      method.restore(file, dir);
      const store = openProject(dir, { clock: () => Date.now() });
      const held = [...store.annotations.all()].map(({ sequence, hash }) => `${sequence} ${hash}`);
      const { problems } = store.verify();
      store.close();
      const tell = (what: string) => result.problems.push(`copy ${i}: ${what}`);
      if (held.some((act, at) => act !== all[at])) tell('is no prefix');
      if (before.some((act, at) => act !== held[at])) tell(`lacks ${before.length - held.length} acknowledged acts`);
      // One more may be on record that was not noted yet.
      if (held.length > after + 1) tell('holds what was not made yet');
      if (problems.length > 0) tell(`${problems[0].where}: ${problems[0].message}`);
    } catch (error) {
      result.problems.push(`copy ${i}: ${String(error)}`);
    }
    fs.rmSync(dir, { recursive: true, force: true });
    fs.rmSync(file);
    result.copies++;
    result.acknowledged += before.length;
    result.meanwhile = Math.max(result.meanwhile, after - before.length);
  }
  return result;
}
