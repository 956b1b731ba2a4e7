/** Going from project to project and back at once, as a person does who clicked the wrong one. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createRouterClient } from '@orpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../main/engine.ts';
import { COMPLAINTS, newFolder, writeNotes } from './small-projects.ts';

const engine = new Engine({ host: 'cli', home: newFolder() });
const client = createRouterClient(engine.router, { context: { reqHeaders: new Headers() } });
const [one, two] = ['one', 'two'].map((name) => join(newFolder(), name));

beforeAll(async () => {
  await client.desk.create({ dir: two, classes: COMPLAINTS });
  await client.desk.create({ dir: one, classes: COMPLAINTS });
});
afterAll(() => engine.close());

describe('A project', () => {
  it('is there again at once after another, though its work has not ended yet', async () => {
    for (let turn = 0; turn < 6; turn++) {
      const notes = writeNotes(60);
      await client.imports.start({ sources: [notes.file], mapping: { text: 'text', id: 'id' } });
      await client.desk.open({ dir: two });
      expect((await client.desk.open({ dir: one })).dir).toBe(one);
    }
  });

  it('may be asked for twice at a time, and among others', async () => {
    const asked = [one, two, two, one, one, two].map((dir) => client.desk.open({ dir }));
    expect((await Promise.all(asked)).map(({ dir }) => dir)).toEqual([one, two, two, one, one, two]);
    expect((await client.desk.state()).project).toBe(two);
  });

  it('stays open when another cannot be opened, and is the same by any of its names', async () => {
    await client.desk.open({ dir: one });
    await expect(client.desk.open({ dir: join(newFolder(), 'nothing') })).rejects.toThrow();
    expect((await client.status()).dir).toBe(one);
    const link = join(newFolder(), 'link');
    symlinkSync(one, link, 'junction');
    for (const name of [`${one}/`, join(one, '..', 'one'), link])
      expect((await client.desk.open({ dir: name })).dir).toBe(one);
  });
});
