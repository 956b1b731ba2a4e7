/**
 * A process that fine-tunes the project named as its argument, for so many epochs, or goes
 * on with a run that was interrupted, and prints what came of it: for a test that kills it.
 */
import { Project } from '../../main/project.ts';

const [dir, epochs] = process.argv.slice(2);
const project = await Project.open(dir, { resume: false });
const { finished } = project.tune({
  epochs: Number(epochs),
  copies: 1,
  threads: 1,
  device: 'cpu',
  checkpointAfterMs: 50,
});
const { state, error } = await finished;
const [version] = project.versions();
const [encoder] = project.encoders();
console.log(JSON.stringify({ state, error, model: version.sha256, encoder: encoder.version, tuned: encoder.tuned }));
await project.close();
process.exit();
