import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import type { ClientInfo } from '../../../platform/http/client-info';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import type { Account, Credentials } from '../users-port';

export const DEVICES_COLLECTION = 'known_devices';

/**
 * The devices, by network and browser, from which a user has signed in. A known device has its own
 * limit of failed logins, so that strangers cannot lock the owner out.
 */
export interface KnownDevices {
  /**
   * Until when the device is known, or undefined: a login under an earlier password does not count.
   * Sends the same query for an account that does not exist (undefined).
   */
  knownUntil(account: KnowingAccount | undefined, client: ClientInfo): Promise<Date | undefined>;
  /**
   * After a login, by the session version that it rests on. Writes at most once a day: nothing when
   * the device is `known` for nearly as long already.
   */
  remember(
    account: Pick<Account, 'id' | 'sessionVersion'>,
    client: ClientInfo,
    known?: Date,
  ): Promise<void>;
  /** Whether the user has signed in from another device than this one. */
  hasOther(userId: string, client: ClientInfo): Promise<boolean>;
  /** The ids of all devices of a user (`deviceKey`). */
  keysOf(userId: string): Promise<string[]>;
  /** Until when each device of a user is known. */
  ofUser(userId: string): Promise<readonly Date[]>;
  /** Removes all devices of these users. */
  forgetOf(userIds: readonly string[]): Promise<void>;
  /** Removes all devices of a user except one, which stays known under a new password. */
  forget(userId: string, except?: KeptDevice): Promise<void>;
}

type KnowingAccount = Pick<Credentials, 'id' | 'passwordVersion'>;

interface KeptDevice {
  readonly client: ClientInfo;
  /** The session version that the new password began with. */
  readonly version: number;
}

interface DeviceRow {
  readonly _id: string;
  readonly userId: string;
  readonly until: Date;
  /**
   * The session version of the last login. The row of a login under an earlier password may come
   * after that was replaced, and the removal with it. Absent: of an earlier release, 0.
   */
  readonly version?: number;
}

export const deviceIndexes = {
  collection: DEVICES_COLLECTION,
  indexes: [
    { key: { userId: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

const OF_USER_MAX = 10_000;
const DAY_MS = 86_400_000;
const REMEMBERED_MS = 90 * DAY_MS;
/** An id that no user has. */
const NOBODY = '000000000000000000000000';

export const deviceKey = (userId: string, client: ClientInfo) =>
  sha256(`${userId}\n${client.network}\n${client.userAgent}`);

export function createKnownDevices(
  connection: Connection,
  options: { timeoutMs: number; now: () => number },
): KnownDevices {
  const { timeoutMs, now } = options;
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<DeviceRow>(DEVICES_COLLECTION);
  return {
    async knownUntil(account, client) {
      const row = await rows().findOne(
        { _id: deviceKey(account?.id ?? NOBODY, client), until: { $gt: new Date(now()) } },
        bounded,
      );
      if (row === null || account === undefined) return undefined;
      return (row.version ?? 0) >= account.passwordVersion ? row.until : undefined;
    },
    async remember({ id: userId, sessionVersion: version }, client, known) {
      const until = new Date(now() + REMEMBERED_MS);
      if (known !== undefined && until.getTime() - known.getTime() < DAY_MS) return;
      // w:1: a lost write only means that the next login comes from an unknown device.
      await rows()
        .updateOne(
          { _id: deviceKey(userId, client) },
          { $set: { userId, until }, $max: { version } },
          { ...bounded, upsert: true, writeConcern: { w: 1, journal: false } },
        )
        .catch((error: unknown) => {
          // A concurrent login has inserted it.
          if (!isDuplicateKey(error)) throw error;
        });
    },
    async hasOther(userId, client) {
      const others = { userId, _id: { $ne: deviceKey(userId, client) } };
      return (await rows().findOne(others, { ...bounded, projection: { _id: 1 } })) !== null;
    },
    async keysOf(userId) {
      const found = await rows()
        .find({ userId }, { ...bounded, projection: { _id: 1 }, limit: OF_USER_MAX })
        .toArray();
      return found.map(({ _id }) => _id);
    },
    async ofUser(userId) {
      const found = await rows()
        .find({ userId }, { ...bounded, limit: OF_USER_MAX })
        .toArray();
      return found.map(({ until }) => until);
    },
    async forgetOf(userIds) {
      await rows().deleteMany({ userId: { $in: [...userIds] } }, bounded);
    },
    async forget(userId, except) {
      if (except === undefined) {
        await rows().deleteMany({ userId }, bounded);
        return;
      }
      const _id = deviceKey(userId, except.client);
      await rows().deleteMany({ userId, _id: { $ne: _id } }, bounded);
      await rows().updateOne({ _id }, { $max: { version: except.version } }, bounded);
    },
  };
}
