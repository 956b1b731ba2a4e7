/**
 * Writes the material of the sample project: simulated blood cells as pictures with a
 * table, and simulated triage notes as one JSONL file, each with the class that the
 * generator had in mind (the oracle) and a group (slide, patient). Promises the same files
 * for the same seed, and says in the folder and in every name that nothing in it is real.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { CELL_KINDS, drawCell, drawSlide, SIDE } from './cells.ts';
import { drawNotes, URGENCIES } from './notes.ts';

export interface SampleOptions {
  seed?: number;
  /** How many pictures, and how many notes; 0 leaves the source out. */
  cells?: number;
  notes?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface Sample {
  /** Folder of the pictures. */
  cellsDir: string;
  /** CSV with the columns id, image (relative to the table), kind (oracle), slide (group). */
  cellsTable: string;
  cellClasses: string[];
  /** JSONL with the fields id, text, urgency (oracle), patient (group). */
  notesFile: string;
  noteClasses: string[];
}

/** Many, because the audit set is drawn by slide: with few, its share would be a matter of luck. */
const SLIDES = 64;

const README = `SIMULATED DATA

Everything in this folder was drawn or written by a program, to try Marginalia with.
No picture shows a real cell and no note speaks of a real person. Do not train a model
for use on patients with it.

cells/      simulated blood cells: ${CELL_KINDS.join(', ')}
cells.csv   id, image, kind (what the generator drew), slide (pictures that belong together)
notes.jsonl simulated triage notes: ${URGENCIES.join(', ')}; English and Chinese

About one cell in seven leans towards another kind, and some notes contradict themselves:
not every item can be decided with certainty, as in life.

模拟数据：本文件夹中的图片和文字均由程序生成，不含任何真实患者信息，请勿用于临床。
`;

/** Writes the sample's files into `dir` (made if needed). Takes about 15 ms a picture; a cancelled one leaves what was written. */
export async function generateSample(dir: string, options: SampleOptions = {}): Promise<Sample> {
  const { seed = 1, cells = 320, notes = 360, signal, onProgress } = options;
  const rng = createRng(seed);
  const sample: Sample = {
    cellsDir: join(dir, 'cells'),
    cellsTable: join(dir, 'cells.csv'),
    cellClasses: [...CELL_KINDS],
    notesFile: join(dir, 'notes.jsonl'),
    noteClasses: [...URGENCIES],
  };
  await mkdir(sample.cellsDir, { recursive: true });
  await writeFile(join(dir, 'README.txt'), README);

  const slides = Array.from({ length: SLIDES }, (_, i) => {
    const name = `slide-${String(i + 1).padStart(2, '0')}`;
    return drawSlide(rng.derive(name), name);
  });
  const order = rng.derive('order');
  const kinds = order.shuffle(Array.from({ length: cells }, (_, i) => CELL_KINDS[i % CELL_KINDS.length]));
  const rows = ['id,image,kind,slide'];
  for (const [i, kind] of kinds.entries()) {
    signal?.throwIfAborted();
    const id = `simulated-cell-${String(i + 1).padStart(4, '0')}`;
    const slide = slides[order.int(SLIDES)];
    const file = `${id}.jpg`;
    await sharp(drawCell(rng.derive(id), kind, slide), { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .blur(slide.focus)
      .jpeg({ quality: 90, chromaSubsampling: '4:4:4' })
      .toFile(join(sample.cellsDir, file));
    rows.push(`${id},cells/${file},${kind},${slide.name}`);
    onProgress?.(i + 1, cells);
  }
  await writeFile(sample.cellsTable, `${rows.join('\n')}\n`);
  await writeFile(
    sample.notesFile,
    drawNotes(rng.derive('notes'), notes)
      .map((note) => `${JSON.stringify(note)}\n`)
      .join(''),
  );
  return sample;
}
