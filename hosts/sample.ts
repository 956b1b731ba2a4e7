/**
 * Makes the built-in sample project: simulated cells or notes, drawn by
 * `resources/sample-project`, beside the project that imports them. Their true classes are
 * kept aside as an oracle, so that the sample can be labelled like real material.
 */
import { join } from 'node:path';
import { EngineError } from '../main/domain/errors.ts';
import { Project } from '../main/project.ts';
import { generateSample } from '../resources/sample-project/generate.ts';

export interface SampleProject {
  dir: string;
  kind: 'cells' | 'notes';
  added: number;
}

const CELLS = 320;
const NOTES = 320;

/** Errors: `project-exists` where the folder holds a project already. */
export async function createSampleProject(
  dir: string,
  options: {
    kind: 'cells' | 'notes';
    seed: number;
    progress: (stage: string, done: number | null, total: number | null) => void;
  },
): Promise<SampleProject> {
  const { kind, seed, progress } = options;
  const isCells = kind === 'cells';
  const sample = await generateSample(join(dir, 'simulated'), {
    seed,
    cells: isCells ? CELLS : 0,
    notes: isCells ? 0 : NOTES,
    onProgress: (done, total) => progress('drawing', done, total),
  });
  const project = await Project.create(
    dir,
    {
      name: isCells ? 'Blood cells' : 'Triage notes',
      classes: isCells ? sample.cellClasses : sample.noteClasses,
      seed,
      simulated: true,
    },
    { resume: false },
  );
  try {
    const { finished } = project.startImport({
      sources: [isCells ? sample.cellsTable : sample.notesFile],
      mapping: isCells
        ? { id: 'id', image: 'image', label: 'kind', group: 'slide' }
        : { id: 'id', text: 'text', label: 'urgency', group: 'patient' },
      labelsFromFolders: false,
      labels: 'oracle',
    });
    const job = await finished;
    if (job.error) throw EngineError.from(job.error);
    return { dir, kind, added: Number(job.result?.added ?? 0) };
  } finally {
    await project.close();
  }
}
