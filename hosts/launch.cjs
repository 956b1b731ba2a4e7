/**
 * The first thing that every `npm` script runs: it must be understood by any Node, so that
 * one that is too old gets a sentence instead of a crash. Hence CommonJS, syntax of 2009,
 * and nothing here but the question and the hand-over to set-up.cjs.
 */
'use strict';
var oldest = 20;
var major = parseInt(process.versions.node, 10);
if (major < oldest) {
  process.stderr.write(
    'Marginalia needs Node ' +
      oldest +
      ' or newer to set itself up; this is ' +
      process.version +
      '.\n' +
      'Install a current Node from https://nodejs.org (or with your package manager), then try again.\n',
  );
  process.exitCode = 1;
} else {
  require('./set-up.cjs').launch(process.argv.slice(2));
}
