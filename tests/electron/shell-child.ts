/** A shell without a window, to be killed: starts the engine on the project named first, has it start a compute process, and says who is who. */
import { openWindow, startEngine } from './relayed-desk.ts';

const [project, source] = process.argv.slice(2);
const engine = startEngine(project);
await engine.ready;
const { client } = openWindow(engine);
await client.imports.preview({ sources: [source] });
process.send?.({ engine: engine.pid });
