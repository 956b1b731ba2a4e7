/**
 * Importing at scale through the command line: `npm run bench -- import [images] [texts]`.
 * Prints, for each, items per second and the largest resident memory of the engine and of
 * the process that reads, against the promise of 600 MB; the time is set beside reading,
 * hashing and decoding the same images and nothing else.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRng } from '../../main/domain/rng.ts';
import { ROOT } from '../served-desk.ts';

const [images = 10_000, texts = 100_000] = process.argv.slice(2).map(Number);
const LIMIT_MB = 600;
const work = mkdtempSync(join(tmpdir(), 'marginalia-bench-'));
const cli = join(ROOT, 'hosts/cli.ts');

/** Resident megabytes of a process and its children; only Linux says so cheaply. */
function residentMb(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ')[1] === String(pid);
    } catch {
      return false;
    }
  });
  return [pid, ...children].map((id) => {
    try {
      return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    } catch {
      return 0;
    }
  });
}

async function importOf(what: string, args: string[], count: number): Promise<number> {
  const project = join(work, what);
  execFileSync(process.execPath, [cli, 'new', project, '--classes', 'a,b']);
  const began = performance.now();
  const child = spawn(process.execPath, [cli, 'import', project, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  const most = [0, 0];
  const timer = setInterval(() => {
    if (process.platform !== 'linux') return;
    residentMb(child.pid ?? 0).forEach((mb, i) => (most[Math.min(i, 1)] = Math.max(most[Math.min(i, 1)], mb)));
  }, 200);
  await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(timer);
  const seconds = (performance.now() - began) / 1000;
  const { added } = JSON.parse(output) as { added: number };
  const worst = Math.max(...most);
  console.log(
    `${what}: ${added} of ${count} in ${seconds.toFixed(1)} s (${(added / seconds).toFixed(0)}/s), ` +
      `engine ${most[0].toFixed(0)} MB, reader ${most[1].toFixed(0)} MB, ${worst < LIMIT_MB ? 'within' : 'ABOVE'} ${LIMIT_MB} MB`,
  );
  return seconds;
}

/** Pictures that differ enough not to be near duplicates of each other. */
async function drawImages(dir: string, count: number): Promise<void> {
  mkdirSync(dir);
  const rng = createRng(1);
  for (let i = 0; i < count; i++) {
    const small = Buffer.from(Uint8Array.from({ length: 16 * 12 * 3 }, () => rng.int(256)));
    const picture = sharp(small, { raw: { width: 16, height: 12, channels: 3 } }).resize(640, 480, { kernel: 'cubic' });
    await picture.jpeg({ quality: 80 }).toFile(join(dir, `${String(i).padStart(6, '0')}.jpg`));
  }
}

async function writeTexts(file: string, count: number): Promise<void> {
  const rng = createRng(2);
  const out = createWriteStream(file);
  for (let i = 0; i < count; i++) {
    const words = Array.from({ length: 120 }, () => `w${Math.floor(20_000 * rng.next() ** 3).toString(36)}`);
    const line = `${JSON.stringify({ id: `t${i}`, text: words.join(' ') })}\n`;
    if (!out.write(line)) await new Promise<void>((resolve) => out.once('drain', () => resolve()));
  }
  await new Promise<void>((resolve) => out.end(() => resolve()));
}

try {
  if (images > 0) {
    const folder = join(work, 'pictures');
    await drawImages(folder, images);
    const began = performance.now();
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      createHash('sha256').update(bytes).digest();
      await sharp(bytes).raw().toBuffer();
    }
    const alone = (performance.now() - began) / 1000;
    const whole = await importOf('images', [folder], images);
    console.log(
      `read, hash and decode alone: ${alone.toFixed(1)} s; the import reaches ${(alone / whole).toFixed(2)} of that speed`,
    );
  }
  if (texts > 0) {
    const file = join(work, 'texts.jsonl');
    await writeTexts(file, texts);
    await importOf('texts', [file, '--text', 'text', '--id', 'id'], texts);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
