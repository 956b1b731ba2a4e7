/**
 * Opens the desk's address in the system's browser. The address carries the one-time token, and
 * on Linux and macOS everybody on a machine can read the command lines of everybody's programs;
 * so there the browser is given a file that only this user can read, which leads to the address
 * and goes away as soon as the address was used.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Asks the system for its browser; where there is none, the printed address is enough. Gives what to do once the address was used. */
export function openBrowser(address: string): () => void {
  const file = process.platform === 'win32' ? null : leadingTo(address);
  const where = file ?? address;
  const [program, args] =
    process.platform === 'darwin'
      ? ['open', [where]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', where]]
        : ['xdg-open', [where]];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  child.on('error', () => console.log('No browser could be opened: open the address above in one.'));
  child.unref();
  return () => file !== null && rmSync(file, { force: true });
}

/** In the home folder itself, because confined browsers may read neither the temporary nor hidden folders. */
function leadingTo(address: string): string {
  const page = `<!doctype html><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=${address}">`;
  const write = (folder: string) => {
    const file = join(folder, `marginalia-${randomBytes(8).toString('hex')}.html`);
    writeFileSync(file, page, { mode: 0o600, flag: 'wx' });
    return file;
  };
  try {
    return write(homedir());
  } catch {
    return write(tmpdir()); // a home that cannot be written to
  }
}
