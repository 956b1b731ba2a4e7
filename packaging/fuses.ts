/**
 * Electron's fuses, set in the program file when a desktop package is made: what the program
 * can never be made to do, whatever it is started with. Data, so that the shell's tests and
 * electron-builder read the same. Names as electron-builder has them.
 */
export const FUSES = {
  /** The window's program is no Node: the engine runs on the Node that is carried. */
  runAsNode: false,
  enableNodeOptionsEnvironmentVariable: false,
  enableNodeCliInspectArguments: false,
  enableCookieEncryption: true,
  /** Checked by Electron on Windows and macOS; on Linux it has no effect. */
  enableEmbeddedAsarIntegrityValidation: true,
  onlyLoadAppFromAsar: true,
  /** The desk comes by a scheme of its own; file: addresses get nothing. */
  grantFileProtocolExtraPrivileges: false,
  /** One snapshot for all processes, as Electron ships it. */
  loadBrowserProcessSpecificV8Snapshot: false,
} as const;
