import type { Connection } from 'mongoose';
import { isDuplicateKey } from '../users/repository';
import type { ClientInfo } from './client';
import { digest } from './refresh-token';

export const DEVICES_COLLECTION = 'known_devices';

/** Where a user has signed in from: network and browser. Lets the owner in while strangers have locked the account. */
export interface KnownDevices {
  /** Until when it is known; undefined: it is not. For an account that does not exist (undefined) the question is asked all the same. */
  knownUntil(userId: string | undefined, client: ClientInfo): Promise<Date | undefined>;
  /** Writes nothing when it is `known` for nearly as long already: a device that signs in often costs one write a day. */
  remember(userId: string, client: ClientInfo, known?: Date): Promise<void>;
  forget(userId: string): Promise<void>;
}

interface DeviceRow {
  readonly _id: string;
  readonly userId: string;
  readonly until: Date;
}

export const deviceIndexes = {
  collection: DEVICES_COLLECTION,
  indexes: [
    { key: { userId: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

const DAY_MS = 86_400_000;
const REMEMBERED_MS = 90 * DAY_MS;
const NOBODY = '000000000000000000000000';

export const deviceKey = (userId: string, client: ClientInfo) => digest(`${userId}\n${client.network}\n${client.userAgent}`);

export function createKnownDevices(connection: Connection, options: { timeoutMs: number; now: () => number }): KnownDevices {
  const { timeoutMs, now } = options;
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<DeviceRow>(DEVICES_COLLECTION);
  return {
    async knownUntil(userId, client) {
      const row = await rows().findOne({ _id: deviceKey(userId ?? NOBODY, client), until: { $gt: new Date(now()) } }, bounded);
      return row?.until;
    },
    async remember(userId, client, known) {
      const until = new Date(now() + REMEMBERED_MS);
      if (known !== undefined && until.getTime() - known.getTime() < DAY_MS) return;
      // w:1: losing one costs its owner nothing but the next login's patience.
      await rows()
        .updateOne(
          { _id: deviceKey(userId, client) },
          { $set: { userId, until } },
          { ...bounded, upsert: true, writeConcern: { w: 1, journal: false } },
        )
        .catch((error: unknown) => {
          // Two logins at once made it: it is remembered.
          if (!isDuplicateKey(error)) throw error;
        });
    },
    async forget(userId) {
      await rows().deleteMany({ userId }, bounded);
    },
  };
}
