/**
 * Whether a folder is a safe place for a project. SQLite's write-ahead log needs memory that
 * all openers share, so it does not work over a network; and a program that copies files
 * to a cloud behind our back copies database and log at different moments, and lets two
 * machines write at once. `placeOf` is a pure function of what is known about a folder;
 * `whereabouts` looks it up. It knows what systems and programs say of themselves and
 * guesses nothing from contents. What it is not certain of is said, but nothing is refused.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { EngineError } from '../domain/errors.ts';

export interface Mount {
  point: string;
  /** As the system names it: ext4, cifs, fuse.sshfs, smbfs. */
  type: string;
}

/** What is known about a folder, all of it text. */
export interface PlaceFacts {
  platform: string;
  /** As given, absolute. */
  path: string;
  /** With links and mapped drives followed, where the system tells. */
  realPath: string;
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  mounts: readonly Mount[];
  /** The kind of file system as `statfs` numbers it (Linux); null where it is not known. */
  statfsType: number | null;
  /** `FOLDER/NAME` of files that mark a synchronised folder, found in the folder or above it. */
  markers: readonly string[];
  /** Folders that a synchronising program names in its own settings. */
  declared: readonly { by: string; path: string }[];
}

/** Where a project would lie, and what by: `network` (a share), `synchronised` (copied elsewhere by a program), `local`. */
export interface Place {
  kind: 'local' | 'network' | 'synchronised';
  /** SMB, OneDrive …; empty for local. */
  by: string;
  /** Whether it is known, or only looks like it by its name. */
  certain: boolean;
}

const LOCAL: Place = { kind: 'local', by: '', certain: true };
const network = (by: string, certain = true): Place => ({ kind: 'network', by, certain });

/** File systems of other machines, by the names that the systems give them. */
const NETWORK_TYPES: Record<string, string> = {
  cifs: 'SMB',
  smb3: 'SMB',
  smbfs: 'SMB',
  nfs: 'NFS',
  nfs4: 'NFS',
  afpfs: 'AFP',
  afs: 'AFS',
  ceph: 'Ceph',
  lustre: 'Lustre',
  gpfs: 'GPFS',
  gfs2: 'GFS2',
  ocfs2: 'OCFS2',
  beegfs: 'BeeGFS',
  glusterfs: 'GlusterFS',
  davfs: 'WebDAV',
  webdav: 'WebDAV',
  ftp: 'FTP',
  vboxsf: 'a shared folder of VirtualBox',
  'fuse.sshfs': 'SSH',
  'fuse.rclone': 'rclone',
  'fuse.gvfsd-fuse': 'GVfs',
  'fuse.glusterfs': 'GlusterFS',
  'fuse.ceph': 'Ceph',
  'fuse.s3fs': 'S3',
  'fuse.goofys': 'S3',
  'fuse.davfs': 'WebDAV',
  'fuse.curlftpfs': 'FTP',
  'fuse.vmhgfs-fuse': 'a shared folder of VMware',
  'fuse.google-drive-ocamlfuse': 'Google Drive',
  'fuse.onedriver': 'OneDrive',
  macfuse_sshfs: 'SSH',
};

/** Shares of the machine that a virtual one runs on, and some sandboxes' own disks: seen from here they look the same. */
const DOUBTFUL_TYPES: Record<string, string> = { '9p': '9P' };
const DOUBTFUL_NUMBER = 0x01021997;
/** Programs that serve a file system from this machine's own disks. */
const LOCAL_FUSE =
  /^fuse\.(gocryptfs|encfs|cryfs|mergerfs|bindfs|fuse-overlayfs|unionfs|exfat|ntfs(-3g)?|ext[234]|veracrypt|portal|lxcfs|jmtpfs)$/;

/** The same by number, where the mount table is not readable (statfs(2)). */
const NETWORK_NUMBERS = new Map<number, string>([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x19830326, 'BeeGFS'],
  [0x786f4256, 'a shared folder of VirtualBox'],
]);

/** Files that synchronising programs keep at the top of what they synchronise. */
const MARKERS: readonly [RegExp, string][] = [
  [/^\.dropbox(\.cache)?$/, 'Dropbox'],
  [/^\._?sync_[0-9a-f]+\.db$/, 'Nextcloud'],
  [/^\.(nextcloud|owncloud)sync\.log$/, 'Nextcloud'],
  [/^\.tmp\.drive(up|down)load$/, 'Google Drive'],
  [/^\.stfolder$/, 'Syncthing'],
  [/^\.SynologyWorkingDirectory$/, 'Synology Drive'],
];
/** How they call the folder, right below a home folder. */
const NAMES: readonly [RegExp, string][] = [
  [/^OneDrive( - .+)?$/, 'OneDrive'],
  [/^Dropbox( \(.+\))?$/, 'Dropbox'],
  [/^iCloud ?Drive$/, 'iCloud Drive'],
  [/^(Google Drive|GoogleDrive|My Drive)$/, 'Google Drive'],
  [/^(Nextcloud|ownCloud)\d*$/i, 'Nextcloud'],
  [/^Box( Sync)?$/, 'Box'],
  [/^SynologyDrive$/, 'Synology Drive'],
];
/** Folders below ~/Library/CloudStorage, where macOS keeps them all. */
const PROVIDERS: readonly [RegExp, string][] = [
  [/^OneDrive/, 'OneDrive'],
  [/^GoogleDrive/, 'Google Drive'],
  [/^Dropbox/, 'Dropbox'],
  [/^Box/, 'Box'],
  [/^Nextcloud/, 'Nextcloud'],
];

/** What kind of place a folder is. Pure. */
export function placeOf(facts: PlaceFacts): Place {
  return onNetwork(facts) ?? synchronised(facts) ?? LOCAL;
}

function onNetwork({ platform, path: given, realPath, mounts, statfsType }: PlaceFacts): Place | null {
  if (platform === 'win32') {
    for (const each of [given, realPath]) {
      const plain = each.replaceAll('/', '\\').replace(/^\\\\\?\\UNC\\/i, '\\\\');
      if (/^\\\\(wsl\$|wsl\.localhost)\\/i.test(plain)) return network('9P');
      // \\?\C:\ and \\.\C:\ are this machine's own.
      if (/^\\\\[^?.\\]/.test(plain)) return network('SMB');
    }
    return null;
  }
  const mount = mountOf(mounts, realPath);
  const by = mount && (NETWORK_TYPES[mount.type] ?? NETWORK_TYPES[mount.type.replace(/^fuse\./, '')]);
  if (by) return network(by);
  const numbered = statfsType === null ? undefined : NETWORK_NUMBERS.get(statfsType);
  if (numbered !== undefined) return network(numbered);
  if (mount && mount.type in DOUBTFUL_TYPES) return network(DOUBTFUL_TYPES[mount.type], false);
  if (statfsType === DOUBTFUL_NUMBER) return network('9P', false);
  return mount?.type.startsWith('fuse.') && !LOCAL_FUSE.test(mount.type)
    ? network(mount.type.slice('fuse.'.length), false)
    : null;
}

/** The mount that a path lies on: the one whose point is the longest part of it. */
function mountOf(mounts: readonly Mount[], file: string): Mount | null {
  let found: Mount | null = null;
  for (const mount of mounts)
    if (isWithin(file, mount.point, '/') && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  return found;
}

function isWithin(file: string, folder: string, separator: string): boolean {
  const base = folder.endsWith(separator) ? folder.slice(0, -1) : folder;
  return file === base || file.startsWith(base + separator);
}

function synchronised(facts: PlaceFacts): Place | null {
  const { platform, home, env, markers, declared } = facts;
  const separator = platform === 'win32' ? '\\' : '/';
  const fold = (text: string) => {
    const plain = platform === 'win32' ? text.replaceAll('/', '\\') : text;
    return platform === 'linux' ? plain : plain.toLowerCase();
  };
  const paths = [facts.path, facts.realPath];
  const lies = (folder: string) => paths.some((each) => isWithin(fold(each), fold(folder), separator));
  const sure = (by: string): Place => ({ kind: 'synchronised', by, certain: true });

  for (const name of ['OneDrive', 'OneDriveConsumer', 'OneDriveCommercial'])
    if (env[name] && lies(env[name])) return sure('OneDrive');
  for (const { by, path: folder } of declared) if (lies(folder)) return sure(by);
  for (const marker of markers) {
    const name = marker.split(separator).at(-1) ?? '';
    const by = MARKERS.find(([pattern]) => pattern.test(name))?.[1];
    if (by) return sure(by);
  }
  if (platform === 'darwin') {
    if (lies(`${home}/Library/Mobile Documents`)) return sure('iCloud Drive');
    for (const each of paths) {
      const storage = `${home}/Library/CloudStorage`;
      if (!isWithin(fold(each), fold(storage), separator)) continue;
      const provider = each.slice(storage.length + 1).split('/')[0];
      return sure(PROVIDERS.find(([pattern]) => pattern.test(provider))?.[1] ?? provider);
    }
  }
  for (const each of paths) {
    if (!isWithin(fold(each), fold(home), separator)) continue;
    const first = each.slice(home.length + 1).split(/[/\\]/)[0];
    const by = NAMES.find(([pattern]) => pattern.test(first))?.[1];
    if (by) return { kind: 'synchronised', by, certain: false };
  }
  return null;
}

/** Looks up what kind of place a folder is, or would be: of the nearest folder that exists. About a millisecond. */
export function whereabouts(dir: string): Place {
  const given = path.resolve(dir);
  let existing = given;
  while (!fs.existsSync(existing) && path.dirname(existing) !== existing) existing = path.dirname(existing);
  const below = path.relative(existing, given);
  const home = os.homedir();
  return placeOf({
    platform: process.platform,
    path: given,
    realPath: path.join(attempt(() => fs.realpathSync.native(existing)) ?? existing, below),
    home: attempt(() => fs.realpathSync.native(home)) ?? home,
    env: process.env,
    mounts: attempt(readMounts) ?? [],
    statfsType: process.platform === 'linux' ? (attempt(() => fs.statfsSync(existing).type) ?? null) : null,
    markers: markersAbove(existing),
    declared: attempt(() => declaredByDropbox(home)) ?? [],
  });
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

function readMounts(): Mount[] {
  if (process.platform === 'linux') return parseMountInfo(fs.readFileSync('/proc/self/mountinfo', 'utf8'));
  if (process.platform === 'darwin')
    return parseMountOutput(execFileSync('/sbin/mount', { encoding: 'utf8', timeout: 1000 }));
  return [];
}

/** /proc/self/mountinfo (proc_pid_mountinfo(5)): the fifth field is the point, the type follows a lone hyphen. */
export function parseMountInfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const point = before.split(' ')[4];
    if (!after || !point) return [];
    const octal = (escaped: string) =>
      escaped.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
    return [{ point: octal(point), type: after.split(' ')[0] }];
  });
}

/** What `mount` of macOS prints: `//kim@server/share on /Volumes/share (smbfs, nodev, nosuid)`. */
export function parseMountOutput(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, point, type] = / on (\/.*) \(([^,)]+)[^)]*\)$/.exec(line) ?? [];
    return point && type ? [{ point, type }] : [];
  });
}

/** Names of dot files in the folder and those above it; only they can be markers. */
function markersAbove(dir: string): string[] {
  const found: string[] = [];
  for (let at = dir; ; at = path.dirname(at)) {
    const names = attempt(() => fs.readdirSync(at)) ?? [];
    for (const name of names) if (MARKERS.some(([pattern]) => pattern.test(name))) found.push(path.join(at, name));
    if (path.dirname(at) === at) return found;
  }
}

function declaredByDropbox(home: string): { by: string; path: string }[] {
  const settings =
    process.platform === 'win32'
      ? path.join(process.env.APPDATA ?? home, 'Dropbox', 'info.json')
      : path.join(home, '.dropbox', 'info.json');
  const accounts = JSON.parse(fs.readFileSync(settings, 'utf8')) as Record<string, { path?: unknown }>;
  return Object.values(accounts).flatMap(({ path: folder }) =>
    typeof folder === 'string' ? [{ by: 'Dropbox', path: folder }] : [],
  );
}

/** Refuses to make a project where it could not be kept. Errors: `place-unsafe`. */
export function refuseToMakeIn(dir: string, place: Place = whereabouts(dir)): void {
  refuseNetwork(dir, place);
  if (place.kind !== 'synchronised' || !place.certain) return;
  throw new EngineError(
    'place-unsafe',
    `${dir} is synchronised by ${place.by}. It copies a project’s files at different moments, and another computer may write to its own copy meanwhile.`,
    `Choose a folder that stays on this computer, for example ${path.join(os.homedir(), 'Marginalia')}. A backup may go to the synchronised folder.`,
    { dir, place: place.kind, by: place.by },
  );
}

/** Refuses to write to a project that lies on another machine. Errors: `place-unsafe`. */
export function refuseNetwork(dir: string, place: Place = whereabouts(dir)): void {
  if (place.kind !== 'network' || !place.certain) return;
  throw new EngineError(
    'place-unsafe',
    `${dir} lies on a network drive (${place.by}), where SQLite cannot keep a project safely: labels could be lost.`,
    'Copy the folder to a disk of this computer and open it there. A backup may go to the network drive.',
    { dir, place: place.kind, by: place.by },
  );
}

/** Refuses a project file that has a second name: two programs could open it with a log each. Errors: `place-unsafe`. */
export function refuseLinked(file: string): void {
  const stat = attempt(() => fs.lstatSync(file));
  if (!stat || (!stat.isSymbolicLink() && stat.nlink <= 1)) return;
  throw new EngineError(
    'place-unsafe',
    stat.isSymbolicLink()
      ? `${file} is only a link to a file elsewhere, so that two programs could write to it at once.`
      : `${file} has ${stat.nlink} names (hard links), so that two programs could write to it at once, and a copy made of links changes along.`,
    stat.isSymbolicLink()
      ? 'Open the folder that the file itself lies in.'
      : 'Copy the folder so that the file is really copied, and open the copy.',
    { file, place: 'linked', by: '' },
  );
}
