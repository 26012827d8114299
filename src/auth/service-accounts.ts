import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type Connection, Types } from 'mongoose';
import type { Cache, Region } from '../cache/port';
import { problems } from '../errors';
import { digest } from './refresh-token';
import type { Scope } from './scopes';

export const SERVICE_ACCOUNTS_COLLECTION = 'service_accounts';

/** A program that signs in for itself: client of the grant `client_credentials` (RFC 6749 §4.4). */
export interface ServiceAccount {
  /** Also its client_id. 24 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The beginning of its secret, to recognise a secret that was found somewhere. */
  readonly secretPrefix: string;
  readonly createdBy: string;
  readonly createdAt: string;
}

export interface ServiceAccounts {
  /** The secret is in the answer and nowhere else. Throws 409 past the most there can be. */
  create(account: { name: string; scopes: readonly Scope[] }, createdBy: string): Promise<{ account: ServiceAccount; secret: string }>;
  list(): Promise<ServiceAccount[]>;
  /** Throws 404. After it no later request with the account's secret or tokens is accepted. */
  revoke(id: string): Promise<void>;
  /** Cached, with the cache's claim. */
  find(id: string): Promise<ServiceAccount | null>;
  /** The account if this is its secret. */
  authenticate(id: string, secret: string): Promise<ServiceAccount | null>;
}

interface AccountRow {
  readonly _id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256: the secret is random and long. */
  readonly secretHash: string;
  readonly secretPrefix: string;
  readonly createdBy: string;
  readonly createdAt: Date;
}

/** Few are needed, and the list is one answer. */
const MAX_ACCOUNTS = 200;
/** Lets scanners for leaked secrets recognise one. */
const SECRET_MARK = 'svcsk_';
const PREFIX_CHARS = SECRET_MARK.length + 6;
const ID = /^[0-9a-f]{24}$/;

const groupOf = (id: string) => `service:${id}`;

type Cached = ServiceAccount & { readonly secretHash: string };

export function createServiceAccounts(
  connection: Connection,
  cache: Cache,
  options: { timeoutMs: number; now: () => number },
): ServiceAccounts {
  const bounded = { maxTimeMS: options.timeoutMs };
  const rows = () => connection.collection<AccountRow>(SERVICE_ACCOUNTS_COLLECTION);
  const region: Region<Cached> = cache.region<Cached>({
    name: 'service.v1',
    group: groupOf,
    load: async (id) => {
      const row = await rows().findOne({ _id: id }, bounded);
      return row === null ? null : { ...viewOf(row), secretHash: row.secretHash };
    },
    encode: (account) => Buffer.from(JSON.stringify(account)),
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as Cached,
  });
  const find = async (id: string) => (ID.test(id) ? (region.peek(id) ?? (await region.get(id))) : null);

  return {
    async create({ name, scopes }, createdBy) {
      if ((await rows().countDocuments({}, { ...bounded, limit: MAX_ACCOUNTS })) >= MAX_ACCOUNTS) {
        throw problems.conflict('too_many_service_accounts', `There can be at most ${MAX_ACCOUNTS} service accounts.`);
      }
      const secret = `${SECRET_MARK}${randomBytes(32).toString('base64url')}`;
      const row: AccountRow = {
        _id: new Types.ObjectId().toHexString(),
        name,
        scopes,
        secretHash: digest(secret),
        secretPrefix: secret.slice(0, PREFIX_CHARS),
        createdBy,
        createdAt: new Date(options.now()),
      };
      await rows().insertOne(row);
      return { account: viewOf(row), secret };
    },
    list: async () => (await rows().find({}, bounded).sort({ _id: -1 }).limit(MAX_ACCOUNTS).toArray()).map(viewOf),
    async revoke(id) {
      const deleted = await cache.write([groupOf(id)], async () => (await rows().deleteOne({ _id: id }, bounded)).deletedCount);
      if (deleted === 0) throw problems.notFound('There is no such service account.', 'service_account_not_found');
    },
    find,
    async authenticate(id, secret) {
      const account = await find(id);
      const equal = timingSafeEqual(Buffer.from(digest(secret)), Buffer.from(account?.secretHash ?? digest('')));
      return account !== null && equal ? account : null;
    },
  };
}

function viewOf({ _id, createdAt, name, scopes, secretPrefix, createdBy }: AccountRow): ServiceAccount {
  return { id: _id, name, scopes, secretPrefix, createdBy, createdAt: createdAt.toISOString() };
}
