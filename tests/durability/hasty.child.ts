/**
 * The planted defect for kills: loaded into the engine's process, transactions are answered
 * at once and committed together a little later.
 */
import Database from 'better-sqlite3';

const LATER_MS = 30;

type Work = (...args: unknown[]) => unknown;

Object.assign(Database.prototype, {
  transaction(this: Database.Database, work: Work) {
    const hasty = (...args: unknown[]) => {
      if (!this.inTransaction) {
        this.exec('BEGIN IMMEDIATE');
        setTimeout(() => this.open && this.inTransaction && this.exec('COMMIT'), LATER_MS);
      }
      return work(...args);
    };
    return Object.assign(hasty, { immediate: hasty, deferred: hasty, exclusive: hasty, default: hasty });
  },
});
