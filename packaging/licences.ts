/**
 * The licences of everything inside, as one text, and the two rules about them: nothing
 * without a licence text, and no licence that is not on the list. Copyleft libraries come
 * only as shared libraries of their own that a user can replace (sharp's libvips).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Component } from './inventory.ts';
import { product, ROOT } from './platforms.ts';

/** May be inside anything. */
const FREE = new Set([
  ...['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD', 'Zlib', 'MPL-2.0', 'blessing'],
  ...['FTL', 'HPND', 'IJG', 'libpng-2.0', 'libtiff', 'NCSA'],
  ...['LicenseRef-Microsoft-DirectML', 'LicenseRef-Microsoft-DXIL'],
]);
/** Only in libvips, which is a shared library of its own. */
const IN_SHARED_LIBRARY = new Set(['LGPL-3.0-or-later', 'MPL-1.1']);
const isSharedLibrary = (name: string | null) => name !== null && /^@img\/sharp-(libvips-|win32)/.test(name);

/** What is wrong with the licences, in sentences; empty when nothing is. */
export function licenceProblems(components: readonly Component[]): string[] {
  return components.flatMap((component) => {
    const { name, version, licence, within } = component;
    const who = `${name} ${version ?? ''}`.trim();
    const ids = licence.split(/\s+(?:AND|OR)\s+/);
    const shared = isSharedLibrary(name) || isSharedLibrary(within);
    return [
      ...ids
        .filter((id) => !FREE.has(id) && !(shared && IN_SHARED_LIBRARY.has(id)))
        .map((id) => `${who} is under ${id}, which is not on the list.`),
      ...(textsOf(component).length === 0 && within === null && ELSEWHERE[name] === undefined
        ? [`${who} has no licence text.`]
        : []),
    ];
  });
}

/** Whose licences lie in files of their own in the package. */
const ELSEWHERE: Record<string, string> = {
  'Node.js': 'See LICENSE in the folder of the Node program.',
  Electron: 'See LICENSE.electron.txt and LICENSES.chromium.html beside the program.',
};

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const BSD_3 = `Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:

* Redistributions of source code must retain the above copyright notice, this list of conditions
  and the following disclaimer.
* Redistributions in binary form must reproduce the above copyright notice, this list of conditions
  and the following disclaimer in the documentation and/or other materials provided with the
  distribution.
* Neither the name of Google Inc. nor the names of its contributors may be used to endorse or
  promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT
OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.`;

const mit = (holder: string) => `The MIT License (MIT)\n\nCopyright (c) ${holder}\n\n${MIT}`;
const resource = (name: string) => readFileSync(join(ROOT, 'resources/licences', name), 'utf8');
const apache = () => readFileSync(join(ROOT, 'LICENSE'), 'utf8');

/** Texts for packages that came without: the licence they declare, with the holder that their sources name. */
const SUPPLIED: Record<string, () => string[]> = {
  '@bufbuild/protobuf': () => [
    `Copyright 2021-2026 Buf Technologies, Inc., under the Apache License, Version 2.0, below.`,
    `Parts: Copyright 2008 Google Inc. All rights reserved.\n\n${BSD_3}`,
    apache(),
  ],
  'onnx-buf': () => [mit('Eric Zhang')],
  'onnxruntime-node': () => [mit('Microsoft Corporation')],
  'onnxruntime-common': () => [mit('Microsoft Corporation')],
  tokenizers: () => ['Copyright The HuggingFace Team, under the Apache License, Version 2.0:', apache()],
};

const IS_LICENCE = /^(licen[cs]e|copying|notice|thirdparty)/i;

/** Every licence text of one component, in the order in which it is to be read. */
export function textsOf({ name, folder }: Component): string[] {
  if (folder === null) return [];
  const path = join(ROOT, folder);
  const files = existsSync(path) ? readdirSync(path).filter((file) => IS_LICENCE.test(file)) : [];
  const texts = files.sort().map((file) => readFileSync(join(path, file), 'utf8'));
  const supplied = Object.hasOwn(SUPPLIED, name) ? SUPPLIED[name]() : [];
  const libvips = isSharedLibrary(name)
    ? [readFileSync(join(path, 'README.md'), 'utf8'), ...['LGPL-3.0.txt', 'GPL-3.0.txt', 'MPL-1.1.txt'].map(resource)]
    : [];
  return [...texts, ...supplied, ...libvips];
}

const RULE = '='.repeat(96);

/** THIRD-PARTY-NOTICES: what is inside and under which licence, then the texts, equal ones once. */
export function notices(components: readonly Component[]): string {
  const title = ({ name, version }: Component) => (version === null ? name : `${name} ${version}`);
  const list = components.map((component) => {
    const { licence, within, note } = component;
    return `- ${title(component)} (${licence})${within === null ? '' : `, inside ${within}`}${note === null ? '' : `. ${note}`}`;
  });
  const byText = new Map<string, Component[]>();
  for (const component of components) {
    const texts = textsOf(component);
    if (texts.length === 0) continue;
    const text = texts.map((one) => one.replaceAll('\r\n', '\n').trim()).join(`\n\n${'-'.repeat(60)}\n\n`);
    byText.set(text, [...(byText.get(text) ?? []), component]);
  }
  const sections = [...byText].map(
    ([text, owners]) => `${RULE}\n${owners.map(title).join('\n')}\n${RULE}\n\n${text}\n`,
  );
  const elsewhere = components.filter(({ name }) => ELSEWHERE[name] !== undefined);
  return [
    `Marginalia ${product.version} contains the following software of others.\n`,
    `${list.join('\n')}\n`,
    ...elsewhere.map((component) => `${title(component)}: ${ELSEWHERE[component.name]}\n`),
    ...sections,
  ].join('\n');
}
