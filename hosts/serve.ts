/**
 * Starts the engine and the loopback web host, prints the address and waits until it is
 * told to stop. A stop (Ctrl+C, a closed terminal) closes the project properly; a kill
 * loses nothing that was shown as saved.
 */
import { loggable } from '../main/domain/errors.ts';
import { Engine } from '../main/engine.ts';
import { DESK } from '../main/places.ts';
import { openBrowser } from './browser.ts';
import { startWebHost } from './web.ts';

export async function serve(
  dir: string | null,
  options: { port: number; open: boolean; json: boolean },
): Promise<void> {
  process.on('uncaughtException', (error) => {
    console.error(loggable(error));
    process.exit(1);
  });
  // before anybody can know that it serves: who reads the address may stop it at once
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  const engine = new Engine({ host: 'web' });
  try {
    if (dir !== null) await engine.open(dir);
    const host = await startWebHost(engine, { desk: DESK, port: options.port });
    console.log(
      options.json ? JSON.stringify({ address: host.address, port: host.port }) : `The desk is at ${host.address}`,
    );
    const forget = options.open ? openBrowser(host.address) : () => false;
    void host.opened.then(forget);
    await stopped;
    forget();
    await host.close();
  } finally {
    await engine.close();
  }
}
