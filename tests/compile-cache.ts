/**
 * Hundreds of processes of this program begin while it is tested, and many are killed: they
 * find their modules as one that ended by itself has compiled them. Keyed by contents.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** For this process's children; a cache that was given stays. */
export function shareCompiledModules(): void {
  process.env.NODE_COMPILE_CACHE ??= join(
    fileURLToPath(new URL('..', import.meta.url)),
    'node_modules/.cache/compiled',
  );
}
