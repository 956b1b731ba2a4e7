/**
 * The papers of a package: our licence, the notices, the bill of materials. No package is
 * made where a licence is missing or not on the list.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { PackedFile } from './contents.ts';
import type { Component } from './inventory.ts';
import { licenceProblems, notices } from './licences.ts';
import { refuseForeignCode } from './machine-code.ts';
import { PackagingTrouble, ROOT, type Platform } from './platforms.ts';
import { billOfMaterials } from './sbom.ts';

/** For a package of these components and files. Trouble also where a file is compiled for another platform. */
export function papers(
  platform: Platform,
  components: readonly Component[],
  files: readonly PackedFile[],
): PackedFile[] {
  const problems = licenceProblems(components);
  if (problems.length > 0) throw new PackagingTrouble(problems.join('\n'));
  refuseForeignCode(platform, files);
  return [
    { path: 'LICENSE', source: join(ROOT, 'LICENSE') },
    // What checks an exported audit trail without this program.
    { path: 'verify-audit.mjs', source: join(ROOT, 'resources/verify-audit.mjs') },
    { path: 'THIRD-PARTY-NOTICES.txt', source: Buffer.from(notices(components)) },
    billOfMaterials(platform, components, files),
  ];
}

/** The version that a Node tells about itself: the builder's own Node has no entry in the lock file. */
export function versionOfNode(file: string): string {
  return execFileSync(file, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, '');
}
