/**
 * Loaded first into the engine's process and, by it, into the processes that run models:
 * those then wait for nothing, so that what is killed is only what saves.
 */
if (/compute\.ts$/.test(process.argv[1] ?? '')) {
  process.on('disconnect', () => process.exit());
  process.on('message', () => undefined);
  await new Promise(() => undefined);
}
