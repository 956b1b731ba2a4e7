/**
 * Where a project may lie: a table of folders as three systems describe them, each row
 * worked out by hand from what the system or the synchronising program documents; then the
 * look-up itself on mounts and marker files that are really there.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProject, openProject, restoreBackup } from '../../main/store/index.ts';
import {
  parseMountInfo,
  parseMountOutput,
  placeOf,
  refuseToMakeIn,
  whereabouts,
  type PlaceFacts,
} from '../../main/store/whereabouts.ts';
import { codeOf, newProject, temporaryFolder } from '../store/projects.ts';

type Row = [platform: 'linux' | 'darwin' | 'win32', path: string, more: Partial<PlaceFacts>, expected: string];

const on = (type: string, point: string): Partial<PlaceFacts> => ({
  mounts: [
    { point: '/', type: 'ext4' },
    { point, type },
  ],
});
const oneDrive = { env: { OneDriveCommercial: 'C:\\Users\\kim\\OneDrive - Klinik' } };

// Expected: `kind by`, with a question mark where it only looks like it.
const TABLE: Row[] = [
  ['linux', '/home/kim/Marginalia/a', on('ext4', '/home'), 'local'],
  ['linux', '/home/kim/a', on('btrfs', '/home'), 'local'],
  ['linux', '/tmp/a', on('tmpfs', '/tmp'), 'local'],
  ['linux', '/media/stick/a', on('fuseblk', '/media/stick'), 'local'],
  ['linux', '/home/kim/vault/a', on('fuse.gocryptfs', '/home/kim/vault'), 'local'],
  ['linux', '/mnt/pool/a', on('fuse.mergerfs', '/mnt/pool'), 'local'],
  ['linux', '/mnt/share/a', on('cifs', '/mnt/share'), 'network SMB'],
  ['linux', '/mnt/share/a', on('smb3', '/mnt/share'), 'network SMB'],
  ['linux', '/mnt/shared/a', on('cifs', '/mnt/share'), 'local'],
  ['linux', '/home/kim/a', on('nfs4', '/home'), 'network NFS'],
  ['linux', '/home/kim/a', on('nfs', '/home/kim'), 'network NFS'],
  ['linux', '/home/kim/far/a', on('fuse.sshfs', '/home/kim/far'), 'network SSH'],
  ['linux', '/run/user/1/gvfs/smb-share:server=s/a', on('fuse.gvfsd-fuse', '/run/user/1/gvfs'), 'network GVfs'],
  ['linux', '/mnt/g/a', on('fuse.rclone', '/mnt/g'), 'network rclone'],
  ['linux', '/mnt/web/a', on('fuse.davfs', '/mnt/web'), 'network WebDAV'],
  ['linux', '/lustre/work/a', on('lustre', '/lustre'), 'network Lustre'],
  ['linux', '/data/a', on('ceph', '/data'), 'network Ceph'],
  ['linux', '/mnt/c/Users/kim/a', on('9p', '/mnt/c'), 'network 9P?'],
  ['linux', '/mnt/odd/a', on('fuse.somethingnew', '/mnt/odd'), 'network somethingnew?'],
  ['linux', '/mnt/host/a', on('vboxsf', '/mnt/host'), 'network a shared folder of VirtualBox'],
  ['linux', '/srv/a', { statfsType: 0x6969 }, 'network NFS'],
  ['linux', '/srv/a', { statfsType: 0xfe534d42 }, 'network SMB'],
  ['linux', '/srv/a', { statfsType: 0x01021997 }, 'network 9P?'],
  ['linux', '/srv/a', { statfsType: 0xef53 }, 'local'],
  ['linux', '/home/kim/Dropbox/a', {}, 'synchronised Dropbox?'],
  ['linux', '/data/box/a', { declared: [{ by: 'Dropbox', path: '/data/box' }] }, 'synchronised Dropbox'],
  ['linux', '/data/boxes/a', { declared: [{ by: 'Dropbox', path: '/data/box' }] }, 'local'],
  ['linux', '/home/kim/cloud/a', { markers: ['/home/kim/cloud/.sync_0123456789ab.db'] }, 'synchronised Nextcloud'],
  ['linux', '/home/kim/cloud/a', { markers: ['/home/kim/cloud/.owncloudsync.log'] }, 'synchronised Nextcloud'],
  ['linux', '/home/kim/s/a', { markers: ['/home/kim/s/.stfolder'] }, 'synchronised Syncthing'],
  ['linux', '/home/kim/a', { realPath: '/home/kim/Nextcloud/a' }, 'synchronised Nextcloud?'],
  ['linux', '/home/kim/dropbox-notes/a', {}, 'local'],
  ['linux', '/srv/Dropbox/a', {}, 'local'],
  ['darwin', '/home/kim/Marginalia/a', on('apfs', '/System/Volumes/Data'), 'local'],
  ['darwin', '/Volumes/share/a', on('smbfs', '/Volumes/share'), 'network SMB'],
  ['darwin', '/Volumes/old/a', on('afpfs', '/Volumes/old'), 'network AFP'],
  ['darwin', '/Volumes/web/a', on('webdav', '/Volumes/web'), 'network WebDAV'],
  ['darwin', '/Volumes/far/a', on('macfuse_sshfs', '/Volumes/far'), 'network SSH'],
  ['darwin', '/home/kim/Library/Mobile Documents/com~apple~CloudDocs/a', {}, 'synchronised iCloud Drive'],
  ['darwin', '/home/kim/Library/CloudStorage/OneDrive-Klinik/a', {}, 'synchronised OneDrive'],
  ['darwin', '/home/kim/library/cloudstorage/GoogleDrive-kim@x.org/My Drive/a', {}, 'synchronised Google Drive'],
  ['darwin', '/home/kim/Library/CloudStorage/Box-Box/a', {}, 'synchronised Box'],
  ['darwin', '/home/kim/Library/CloudStorage/ProtonDrive-k/a', {}, 'synchronised ProtonDrive-k'],
  ['darwin', '/home/kim/Library/Application Support/a', {}, 'local'],
  ['win32', 'C:\\Users\\kim\\Marginalia\\a', {}, 'local'],
  ['win32', '\\\\server\\share\\a', {}, 'network SMB'],
  ['win32', '//server/share/a', {}, 'network SMB'],
  ['win32', '\\\\?\\UNC\\server\\share\\a', {}, 'network SMB'],
  ['win32', '\\\\?\\C:\\Users\\kim\\a', {}, 'local'],
  ['win32', '\\\\wsl.localhost\\Debian\\home\\kim\\a', {}, 'network 9P'],
  ['win32', 'H:\\a', { realPath: '\\\\server\\homes$\\kim\\a' }, 'network SMB'],
  ['win32', 'S:\\a', { realPath: 'C:\\data\\a' }, 'local'],
  ['win32', 'C:\\Users\\kim\\OneDrive - Klinik\\a', oneDrive, 'synchronised OneDrive'],
  ['win32', 'c:\\users\\kim\\onedrive - klinik\\Documents\\a', oneDrive, 'synchronised OneDrive'],
  ['win32', 'C:\\Users\\kim\\OneDrive - Klinik 2\\a', oneDrive, 'synchronised OneDrive?'],
  ['win32', 'C:\\Users\\kim\\iCloudDrive\\a', {}, 'synchronised iCloud Drive?'],
  ['win32', 'C:\\Users\\kim\\Box\\a', {}, 'synchronised Box?'],
  ['win32', 'D:\\sync\\a', { declared: [{ by: 'Dropbox', path: 'D:\\Sync' }] }, 'synchronised Dropbox'],
  ['win32', 'G:\\x\\a', { markers: ['G:\\x\\.tmp.driveupload'] }, 'synchronised Google Drive'],
  ['win32', 'C:\\Users\\kim\\Boxes\\a', {}, 'local'],
];

function factsOf([platform, given, more]: Row): PlaceFacts {
  return {
    platform,
    path: given,
    realPath: given,
    home: platform === 'win32' ? 'C:\\Users\\kim' : '/home/kim',
    env: {},
    mounts: [],
    statfsType: null,
    markers: [],
    declared: [],
    ...more,
  };
}

describe('a place', () => {
  it.each(TABLE)('of %s %s %j is %s', (...row) => {
    const { kind, by, certain } = placeOf(factsOf(row));
    expect(`${kind} ${by}${certain ? '' : '?'}`.trim()).toBe(row[3]);
  });

  it('is described by at least forty rows, a dozen of them safe, so that neither answer alone passes', () => {
    expect(TABLE.length).toBeGreaterThanOrEqual(40);
    expect(TABLE.filter((row) => row[3] === 'local').length).toBeGreaterThanOrEqual(12);
  });

  it('is read from the mount tables that Linux and macOS print, spaces and all', () => {
    const linux = [
      '22 1 0:21 / / rw,relatime - ext4 /dev/vda1 rw',
      '88 22 0:44 / /mnt/my\\040share rw,nosuid shared:7 master:1 - cifs //server/share rw,vers=3.1',
    ].join('\n');
    expect(parseMountInfo(linux)).toEqual([
      { point: '/', type: 'ext4' },
      { point: '/mnt/my share', type: 'cifs' },
    ]);
    const mac = [
      '/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)',
      '//kim@server/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by kim)',
    ].join('\n');
    expect(parseMountOutput(mac)).toEqual([
      { point: '/', type: 'apfs' },
      { point: '/Volumes/my share', type: 'smbfs' },
    ]);
  });
});

const clock = () => 1000;
const make = (dir: string) => createProject(dir, { name: 'x', task: 'classify', classes: ['a', 'b'], seed: 1, clock });

describe('a synchronised folder', () => {
  it('is refused for a new project, with what to do, and nothing is left there', () => {
    const top = temporaryFolder();
    fs.mkdirSync(path.join(top, '.dropbox.cache'));
    const dir = path.join(top, 'deep', 'project');
    expect(whereabouts(dir)).toEqual({ kind: 'synchronised', by: 'Dropbox', certain: true });
    expect(codeOf(() => make(dir))).toBe('place-unsafe');
    expect(() => make(dir)).toThrow(/Dropbox/);
    expect(fs.existsSync(path.join(top, 'deep'))).toBe(false);
  });

  it('does not lock anybody out of a project that is there already, and takes its backup', () => {
    const top = temporaryFolder();
    const store = newProject({}, path.join(top, 'project'));
    store.close();
    fs.mkdirSync(path.join(top, '.stfolder'));
    const again = openProject(store.dir, { clock });
    again.backup(path.join(top, 'copy.backup'));
    again.close();
    expect(codeOf(() => restoreBackup(path.join(top, 'copy.backup'), path.join(top, 'other')))).toBe('place-unsafe');
    const elsewhere = path.join(temporaryFolder(), 'restored');
    restoreBackup(path.join(top, 'copy.backup'), elsewhere);
    expect(fs.existsSync(path.join(elsewhere, 'project.sqlite'))).toBe(true);
  });

  it('is only doubted where nothing but its name speaks for it', () => {
    expect(() => refuseToMakeIn('/x', { kind: 'synchronised', by: 'Box', certain: false })).not.toThrow();
    expect(codeOf(() => refuseToMakeIn('/x', { kind: 'synchronised', by: 'Box', certain: true }))).toBe('place-unsafe');
  });
});

describe('a network drive', () => {
  it('is refused for writing, whether the project is there or not', () => {
    const share = { kind: 'network', by: 'SMB', certain: true } as const;
    expect(codeOf(() => refuseToMakeIn('/mnt/s', share))).toBe('place-unsafe');
    expect(codeOf(() => refuseToMakeIn('/mnt/s', { ...share, certain: false }))).toBe('nothing thrown');
  });

  // FUSE needs a program to serve it; a mount namespace with /proc over 9p is not to be had either: the one
  // real mount every Linux root can make is a local one, which must not be taken for a share.
  it.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'is not seen in a tmpfs with a space in its name (needs root on Linux)',
    () => {
      const point = path.join(temporaryFolder(), 'a disk');
      fs.mkdirSync(point);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', point]);
      try {
        expect(whereabouts(path.join(point, 'p'))).toEqual({ kind: 'local', by: '', certain: true });
      } finally {
        execFileSync('umount', ['-l', point]);
      }
    },
  );
});

describe('a project file with a second name', () => {
  it('is refused: hard links and links would let two programs in, each with a log of its own', () => {
    const store = newProject();
    store.close();
    const file = path.join(store.dir, 'project.sqlite');
    const copy = temporaryFolder();
    fs.linkSync(file, path.join(copy, 'project.sqlite'));
    expect(codeOf(() => openProject(store.dir, { clock }))).toBe('place-unsafe');
    expect(codeOf(() => openProject(copy, { clock }))).toBe('place-unsafe');
    fs.rmSync(path.join(copy, 'project.sqlite'));
    fs.symlinkSync(file, path.join(copy, 'project.sqlite'));
    expect(codeOf(() => openProject(copy, { clock }))).toBe('place-unsafe');
    openProject(store.dir, { clock }).close();
  });
});
