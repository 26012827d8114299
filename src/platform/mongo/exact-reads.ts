import type { Connection } from 'mongoose';

/**
 * Options of a read whose answer must not be taken back: not by a member that is behind, and not by
 * a failover. Writes wait for the majority that such a read asks for.
 */
export const exactReads = (connection: Connection, timeoutMs: number) =>
  ({
    maxTimeMS: timeoutMs,
    readPreference: 'primary',
    ...(writesToMajority(connection) ? { readConcern: { level: 'majority' } as const } : {}),
  }) as const;

/** A standalone server has no other member that could take anything back. */
const writesToMajority = (connection: Connection): boolean =>
  connection.getClient().options.writeConcern?.w === 'majority';
