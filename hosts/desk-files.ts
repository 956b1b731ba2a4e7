/**
 * The built desk as files to be served, the same for every host: which file an address
 * means, as what it is sent, and the headers that go with every answer. Promises that no
 * address leads out of the desk's folder, and that no inline script ever runs in the page.
 */
import { stat } from 'node:fs/promises';
import { extname, join, normalize, sep } from 'node:path';

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

/** With every answer, whoever gives it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), display-capture=()',
};

export interface DeskFile {
  path: string;
  type: string;
  /** How long a window may keep it: files named after their content do not change. */
  cacheControl: string;
}

/** The file of the desk in `folder` that an address's path means; null where there is none. */
export async function deskFile(folder: string, pathname: string): Promise<DeskFile | null> {
  const inside = normalize(decodedPath(pathname)).replace(/^([/\\])+/, '');
  const path = join(folder, inside === '' || inside === '.' ? 'index.html' : inside);
  const type = CONTENT_TYPES[extname(path)];
  if (!path.startsWith(folder + sep) || type === undefined) return null;
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return null;
  const isNamedAfterContent = path.includes(`${sep}assets${sep}`);
  return { path, type, cacheControl: isNamedAfterContent ? 'private, max-age=31536000, immutable' : 'no-store' };
}

function decodedPath(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return '/not-found';
  }
}
