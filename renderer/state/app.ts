/** The desk's parts, put together once. Views import `app`; nothing here is created twice. */
import { createCommands } from './commands.ts';
import { Desk } from './desk.svelte.ts';
import { DeviceChoice } from './devices.svelte.ts';
import { Encoders } from './encoders.svelte.ts';
import { Evidence } from './evidence.svelte.ts';
import { Explaining } from './explaining.svelte.ts';
import { Items } from './items.svelte.ts';
import { Labelling } from './labelling.svelte.ts';
import { Preferences } from './preferences.svelte.ts';
import { Tuning } from './tuning.svelte.ts';
import { VersionExport } from './version-export.svelte.ts';
import { Versions } from './versions.svelte.ts';
import { Viewing } from './viewing.svelte.ts';
import { Wizard } from './wizard.svelte.ts';

const desk = new Desk();
const preferences = new Preferences();
const labelling = new Labelling(desk, preferences);
const parts = {
  desk,
  preferences,
  labelling,
  explaining: new Explaining(desk, labelling),
  viewing: new Viewing(),
  evidence: new Evidence(desk),
  versions: new Versions(desk),
  versionExport: new VersionExport(desk),
  items: new Items(desk),
  encoders: new Encoders(desk),
  devices: new DeviceChoice(desk),
  tuning: new Tuning(desk),
  wizard: new Wizard(desk),
};

export const app = { ...parts, commands: createCommands(parts) };
