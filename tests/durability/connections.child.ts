/**
 * Loaded before a writing process: every connection says, when it closes, which file it was
 * of, whether it wrote, and how it waited for the disk, on the standard error.
 */
import fs from 'node:fs';
import Database from 'better-sqlite3';

const { close } = Database.prototype;

Object.assign(Database.prototype, {
  close(this: Database.Database) {
    if (this.open && !this.readonly) {
      const { name } = this;
      const synchronous = this.pragma('synchronous', { simple: true });
      const wrote = this.prepare('SELECT total_changes()').pluck().get();
      fs.writeSync(2, `${JSON.stringify({ name, synchronous, wrote })}\n`);
    }
    return close.call(this);
  },
});
