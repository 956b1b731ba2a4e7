/** Room is asked for before work that needs much of it, on small disks that are really there. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Project } from '../../main/project.ts';
import { createProject } from '../../main/store/index.ts';
import { freeBytes, requireRoom } from '../../main/store/room.ts';
import { codeOf, fill, newProject, temporaryFolder } from '../store/projects.ts';
import { CAN_MOUNT } from './full-disk.ts';

async function onDisk<T>(size: string, work: (disk: string) => T | Promise<T>): Promise<T> {
  const disk = path.join(temporaryFolder(), 'disk');
  fs.mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]);
  try {
    return await work(disk);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
}

describe('room', () => {
  it('is what the nearest folder that exists has, and is not asked of a disk that does not say', () => {
    const dir = temporaryFolder();
    const free = freeBytes(path.join(dir, 'not', 'yet'));
    expect(free).toBeGreaterThan(1 << 20);
    expect(codeOf(() => requireRoom(dir, 2 ** 60, 'The backup'))).toBe('disk-full');
    expect(() => requireRoom(dir, 2 ** 60, 'The backup')).toThrow(
      /^The backup needs \d+ MB on the disk of .+ MB are free\.$/,
    );
    expect(codeOf(() => requireRoom(dir, 1, 'The backup'))).toBe('nothing thrown');
    // Linux's /proc counts no blocks.
    if (process.platform === 'linux') expect(freeBytes('/proc')).toBe(null);
  });

  it.skipIf(!CAN_MOUNT)('is asked for before a backup, which then does not begin (needs root on Linux)', async () => {
    const store = newProject();
    fill(store, 3000);
    await onDisk('2m', (disk) => {
      const file = path.join(disk, 'p.backup');
      const other = newProject();
      other.backup(file);
      const before = fs.readFileSync(file);
      const free = freeBytes(disk);
      expect(codeOf(() => store.backup(file))).toBe('disk-full');
      expect(() => store.backup(file)).toThrow(/^The backup needs/);
      expect(fs.readdirSync(disk)).toEqual(['p.backup']);
      expect([fs.readFileSync(file).equals(before), freeBytes(disk)]).toEqual([true, free]);
    });
  });

  it.skipIf(!CAN_MOUNT)(
    'is asked for before an import, while labels are still taken (needs root on Linux)',
    { timeout: 60_000 },
    async () => {
      const source = path.join(temporaryFolder(), 'notes.csv');
      fs.writeFileSync(source, 'id,text\na,one\nb,two\n');
      const importing = async (size: string) =>
        onDisk(size, async (disk) => {
          const dir = path.join(disk, 'project');
          const store = createProject(dir, {
            name: 'p',
            task: 'classify',
            classes: ['a', 'b'],
            seed: 1,
            clock: Date.now,
          });
          const [item] = fill(store, 2);
          store.close();
          const project = await Project.open(dir, { resume: false });
          const options = {
            sources: [source],
            mapping: { text: 'text', id: 'id' },
            labelsFromFolders: false,
            labels: 'none' as const,
          };
          const job = await project.startImport(options).finished;
          project.annotate({
            item,
            act: 'label',
            classes: ['a'],
            annotator: 'kim',
            durationMs: 1,
            suggestionVisible: false,
            asked: false,
          });
          const { items, labelled } = project.status();
          await project.close();
          return {
            state: job.state,
            code: job.error?.code,
            message: job.error?.message.split(' needs')[0],
            items,
            labelled,
          };
        });
      expect(await importing('40m')).toEqual({
        state: 'failed',
        code: 'disk-full',
        message: 'The import',
        items: 2,
        labelled: 1,
      });
      expect(await importing('100m')).toMatchObject({ state: 'done', items: 4, labelled: 1 });
    },
  );
});
