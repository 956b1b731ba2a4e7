/** Columns named as attributes: kept beside the items, never made features by themselves. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Candidate } from '../../main/domain/item.ts';
import { preview, readSources, type IngestOptions } from '../../main/ingest/index.ts';

const file = join(mkdtempSync(join(tmpdir(), 'marginalia-attributes-')), 'visits.csv');
writeFileSync(
  file,
  'report,sex,age,site,pulse\nA small nodule in the left lobe.,f,61,north,70\nNo change since the last visit.,m,NA, ,\n',
);

async function read(options: IngestOptions): Promise<Candidate[]> {
  const all: Candidate[] = [];
  for await (const batch of readSources([file], options)) all.push(...batch.candidates);
  return all;
}

test('are read as text, where recorded', async () => {
  const items = await read({ mapping: { text: 'report', attributes: ['sex', 'age', 'site'] } });
  expect(items.map(({ attributes }) => attributes)).toEqual([{ sex: 'f', age: '61', site: 'north' }, { sex: 'm' }]);
  expect(items[0].parts.map(({ kind }) => kind)).toEqual(['text']);
  const plain = await read({ mapping: { text: 'report' } });
  expect(plain[0].attributes).toBeUndefined();
  expect(plain[0].id).toBe(items[0].id);
});

test('are no features unless they are named as such', async () => {
  const [auto] = await read({ mapping: { numbers: 'auto', attributes: ['age'] } });
  expect(auto.parts).toEqual([{ kind: 'numbers', values: { pulse: 70 } }]);
  const [both] = await read({ mapping: { numbers: ['age'], attributes: ['age'] } });
  expect(both.parts).toEqual([{ kind: 'numbers', values: { age: 61 } }]);
  expect(both.attributes).toEqual({ age: '61' });
});

test('are part of the mapping that a preview shows, and must be there', async () => {
  const mapping = { text: 'report', attributes: ['sex'] };
  expect((await preview([file], { mapping })).mapping).toEqual(mapping);
  await expect(read({ mapping: { attributes: ['colour'] } })).rejects.toMatchObject({ code: 'column-missing' });
});
