/**
 * A process that fine-tunes the project named as its argument, or goes on with a run that was
 * interrupted, and prints what came of it: for a test that kills it.
 */
import { Project } from '../../main/project.ts';

const project = await Project.open(process.argv[2], { resume: false });
const { finished } = project.tune({ epochs: 60, copies: 1, threads: 1, device: 'cpu', checkpointAfterMs: 50 });
const { state, error } = await finished;
const [version] = project.versions();
const [encoder] = project.encoders();
console.log(JSON.stringify({ state, error, model: version.sha256, encoder: encoder.version, tuned: encoder.tuned }));
await project.close();
process.exit();
