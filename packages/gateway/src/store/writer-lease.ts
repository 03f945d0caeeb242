// One gateway at a time writes an account's state. The lease says who; its fence makes a writer that lost it harmless,
// whatever its clock says.

import type { Database, Queryable } from '@siegel/database';
import { SiegelError } from '@siegel/protocol/errors';

export type WriterLease = {
  readonly fence: number;
  /** Pushes the expiry; false when another took over. */
  renew(): Promise<boolean>;
  /** Inside a transaction: throws `state-conflict` when another took over, and holds off a take-over until it ends. */
  hold(transaction: Queryable): Promise<void>;
  /** Lets the next one in at once. Harmless when already lost. */
  release(): Promise<void>;
};

const conflict = () => new SiegelError('state-conflict', 'another gateway writes this account');

/** Takes a free or expired lease. @throws SiegelError `state-conflict` while another holds it */
export async function acquireWriterLease(options: {
  database: Database;
  name: string;
  /** UUID of this process */
  holder: string;
  now: () => number;
  leaseMs: number;
}): Promise<WriterLease> {
  const { database, name, holder, now, leaseMs } = options;
  const taken = await database.query<{ fence: number }>(
    `INSERT INTO writer_leases AS held (name, holder, fence, expires_at) VALUES ($1, $2, 1, $3)
     ON CONFLICT (name) DO UPDATE SET holder = $2, fence = held.fence + 1, expires_at = $3
       WHERE held.expires_at <= $4
     RETURNING fence`,
    [name, holder, now() + leaseMs, now()],
  );
  const fence = taken.rows[0]?.fence;
  if (fence === undefined) throw conflict();
  return {
    fence,
    async renew() {
      const { count } = await database.query(
        'UPDATE writer_leases SET expires_at = $3 WHERE name = $1 AND fence = $2',
        [name, fence, now() + leaseMs],
      );
      return count === 1;
    },
    async hold(transaction) {
      // FOR SHARE lets own commits run side by side; a take-over waits for them, then they see its fence.
      const { rows } = await transaction.queryNamed(
        'hold-writer-lease',
        'SELECT 1 FROM writer_leases WHERE name = $1 AND fence = $2 FOR SHARE',
        [name, fence],
      );
      if (rows.length === 0) throw conflict();
    },
    async release() {
      await database.query(
        'UPDATE writer_leases SET expires_at = 0 WHERE name = $1 AND fence = $2',
        [name, fence],
      );
    },
  };
}
