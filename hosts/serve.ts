/**
 * Starts the engine and the loopback web host, prints the address and waits until it is
 * told to stop. A stop (Ctrl+C, a closed terminal) closes the project properly; a kill
 * loses nothing that was shown as saved.
 */
import { spawn } from 'node:child_process';
import { loggable } from '../main/domain/errors.ts';
import { Engine } from '../main/engine.ts';
import { DESK } from '../main/places.ts';
import { startWebHost } from './web.ts';

export async function serve(
  dir: string | null,
  options: { port: number; open: boolean; json: boolean },
): Promise<void> {
  process.on('uncaughtException', (error) => {
    console.error(loggable(error));
    process.exit(1);
  });
  const engine = new Engine({ host: 'web' });
  try {
    if (dir !== null) await engine.open(dir);
    const host = await startWebHost(engine, { desk: DESK, port: options.port });
    console.log(
      options.json ? JSON.stringify({ address: host.address, port: host.port }) : `The desk is at ${host.address}`,
    );
    if (options.open) openBrowser(host.address);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    await host.close();
  } finally {
    await engine.close();
  }
}

/** Asks the system for its browser; where there is none, the printed address is enough. */
function openBrowser(address: string): void {
  const [program, args] =
    process.platform === 'darwin'
      ? ['open', [address]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', address]]
        : ['xdg-open', [address]];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  child.on('error', () => console.log('No browser could be opened: open the address above in one.'));
  child.unref();
}
