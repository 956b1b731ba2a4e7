/**
 * The bill of materials as CycloneDX 1.6 JSON (ECMA-424): every component of the inventory
 * with licence, package address and the hash under which the registry gave it, and the native
 * files with theirs. It depends on the contents alone: no time, and a serial number that is a
 * hash of the rest.
 */
import { createHash } from 'node:crypto';
import { digestOf, NATIVE_FILE, type PackedFile } from './contents.ts';
import type { Component } from './inventory.ts';
import { product, type Platform } from './platforms.ts';

const refOf = ({ purl, within, name, version }: Component) =>
  purl ?? `${within === null ? '' : `${within}/`}${name}@${version ?? 'unknown'}`;

function entryOf(component: Component) {
  const { name, version, licence, purl, integrity, within, note } = component;
  const isId = /^[\w.-]+$/.test(licence) && !licence.startsWith('LicenseRef-');
  return {
    type: within === null && purl !== null && name === 'Node.js' ? 'platform' : 'library',
    'bom-ref': refOf(component),
    name,
    ...(version !== null && { version }),
    ...(note !== null && { description: note }),
    ...(integrity !== null && {
      hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex') }],
    }),
    licenses: isId ? [{ license: { id: licence } }] : [{ expression: licence }],
    ...(purl !== null && { purl }),
  };
}

/** Version 5 of RFC 9562's identifiers has a hash's bits in these places; so has this. */
function serialOf(content: string): string {
  const hex = createHash('sha256').update(content).digest('hex');
  const variant = ((parseInt(hex[16], 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function billOfMaterials(
  platform: Platform,
  components: readonly Component[],
  files: readonly PackedFile[],
): PackedFile {
  const self = `pkg:generic/marginalia@${product.version}?platform=${platform.name}`;
  const natives = files
    .filter(({ path, isExecutable }) => NATIVE_FILE.test(path) || (isExecutable && /(^|\/)node$/.test(path)))
    .map((file) => ({
      type: 'file',
      'bom-ref': `file:${file.path}`,
      name: file.path,
      hashes: [{ alg: 'SHA-256', content: digestOf(file) }],
    }));
  const outer = components.filter(({ within }) => within === null);
  const content = {
    metadata: {
      component: {
        type: 'application',
        'bom-ref': self,
        name: 'Marginalia',
        version: product.version,
        description: product.description,
        licenses: [{ license: { id: product.license } }],
        purl: self,
      },
    },
    components: [...components.map(entryOf), ...natives],
    dependencies: [
      { ref: self, dependsOn: outer.map(refOf) },
      ...outer.map((component) => ({
        ref: refOf(component),
        dependsOn: components.filter(({ within }) => within === component.name).map(refOf),
      })),
    ],
  };
  const serialNumber = serialOf(JSON.stringify(content));
  const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber, version: 1, ...content };
  return { path: 'sbom.cdx.json', source: Buffer.from(`${JSON.stringify(bom, null, 2)}\n`) };
}
