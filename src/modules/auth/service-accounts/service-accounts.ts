import { type Connection, Types } from 'mongoose';
import { isEqualInConstantTime, sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import { problems } from '../../../kernel/errors';
import type { Scope } from '../../../kernel/permissions';
import type { Cache, TypedCache } from '../../../platform/cache/port';
import { exactReads } from '../../../platform/mongo/exact-reads';
import { insertWithin } from '../../../platform/mongo/insert-within';
import type { ActorCause, Cause, EmitEvent } from '../../domain-events';
import type { PendingEnds } from '../revocations/pending-ends';
import type { AccountRow } from './account-row';
import { createPendingAccountEnds } from './pending-ends';
import { tokenRevocation } from './token-revocation';

const SERVICE_ACCOUNTS_COLLECTION = 'service_accounts';

/** A program with credentials of its own, for the grant `client_credentials` (RFC 6749 §4.4). */
export interface ServiceAccount {
  /** Also its client_id. 24 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The beginning of its secret, to recognise a leaked secret. */
  readonly secretPrefix: string;
  readonly createdBy: string;
  readonly createdAt: string;
  /** Tokens of another version are not accepted. */
  readonly tokenVersion: number;
  /** Ids (`jti`) of tokens that were revoked and may not have expired yet. */
  readonly revokedTokens: readonly string[];
}

export interface ServiceAccounts {
  /**
   * The actor is its creator. The secret is only in the answer; the database has its hash. Throws
   * 409 past MAX_ACCOUNTS.
   */
  create(
    account: { name: string; scopes: readonly Scope[] },
    cause: ActorCause,
  ): Promise<{ account: ServiceAccount; secret: string }>;
  list(): Promise<ServiceAccount[]>;
  /** Those that a user has created. */
  createdBy(userId: string): Promise<ServiceAccount[]>;
  /** Puts another name in the place of the user that created them. */
  renameCreator(userId: string, pseudonym: string): Promise<void>;
  /** When it resolves, neither the secret nor a token of the account is accepted. Throws 404. */
  revoke(id: string, cause: Cause): Promise<void>;
  /**
   * When it resolves, that token is not accepted; past MAX_REVOKED_TOKENS (token-revocation.ts), no
   * token of the account so far. Resolves true for the call that revoked it.
   */
  revokeToken(id: string, jti: string, until: Date): Promise<boolean>;
  /** From the cache, which is coherent with the database. */
  find(id: string): Promise<ServiceAccount | null>;
  /** From MongoDB, past the cache. */
  findStored(id: string): Promise<ServiceAccount | null>;
  /** The account if this is its secret. */
  authenticate(id: string, secret: string): Promise<ServiceAccount | null>;
  /** Ends of tokens that the log of revocations does not have yet. */
  readonly pendingEnds: PendingEnds;
}

const NOT_REVOKED = { revokedAt: { $exists: false } } as const;

/** Few are needed, and the list is not paged. */
export const MAX_ACCOUNTS = 200;
/** Scanners for leaked secrets recognise it. */
const SECRET_MARK = 'svcsk_';
const PREFIX_CHARS = SECRET_MARK.length + 6;
const ID = /^[0-9a-f]{24}$/;

const groupOf = (id: string) => `service:${id}`;

export function createServiceAccounts(
  connection: Connection,
  cache: Cache,
  options: {
    timeoutMs: number;
    now: () => number;
    /** After each write that ends tokens, before it is acknowledged. */
    tokensEnded: (ids: readonly string[]) => Promise<void>;
    emit: EmitEvent;
  },
): ServiceAccounts {
  const bounded = { maxTimeMS: options.timeoutMs };
  const rows = () => connection.collection<AccountRow>(SERVICE_ACCOUNTS_COLLECTION);
  const rowOf = async (id: string): Promise<AccountRow | null> =>
    ID.test(id) ? rows().findOne({ _id: id, ...NOT_REVOKED }, bounded) : null;
  const load = async (id: string): Promise<ServiceAccount | null> => {
    const row = await rowOf(id);
    return row === null ? null : viewOf(row);
  };
  /** Without the hash of the secret: only token requests need it, and they read MongoDB. */
  const cached: TypedCache<ServiceAccount> = cache.define<ServiceAccount>({
    name: 'service.v3',
    group: groupOf,
    load,
    encode: (account) => Buffer.from(JSON.stringify(account)),
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as ServiceAccount,
  });
  const find = async (id: string) =>
    ID.test(id) ? (cached.peek(id) ?? (await cached.get(id))) : null;

  // Without an index: there are at most MAX_ACCOUNTS.
  const createdBy = async (userId: string) =>
    (
      await rows()
        .find({ createdBy: userId, ...NOT_REVOKED }, bounded)
        .limit(MAX_ACCOUNTS)
        .toArray()
    ).map(viewOf);

  return {
    async create({ name, scopes }, cause) {
      const secret = `${SECRET_MARK}${randomToken(32)}`;
      const row: AccountRow = {
        _id: new Types.ObjectId().toHexString(),
        name,
        scopes,
        secretHash: sha256(secret),
        secretPrefix: secret.slice(0, PREFIX_CHARS),
        createdBy: cause.actor,
        createdAt: new Date(options.now()),
      };
      const { timeoutMs, now } = options;
      const limit = { filter: NOT_REVOKED, max: MAX_ACCOUNTS, timeoutMs, now };
      if (!(await insertWithin(rows(), row, limit))) throw tooManyAccounts();
      options.emit('ServiceAccountCreated', { accountId: row._id, ...cause });
      return { account: viewOf(row), secret };
    },
    list: async () =>
      (await rows().find(NOT_REVOKED, bounded).sort({ _id: -1 }).limit(MAX_ACCOUNTS).toArray()).map(
        viewOf,
      ),
    createdBy,
    async renameCreator(userId, pseudonym) {
      // One by one through the cache, which shows the name too.
      for (const { id } of await createdBy(userId))
        await cache.write([groupOf(id)], () =>
          rows().updateOne({ _id: id }, { $set: { createdBy: pseudonym } }, bounded),
        );
    },
    async revoke(id, cause) {
      const set = {
        revokedAt: new Date(options.now()),
        pendingEnds: { mark: randomToken(9), all: true },
      };
      const change = { $set: set, $unset: { secretHash: 1 as const } };
      const revoked = await cache.write(
        [groupOf(id)],
        async () =>
          (await rows().updateOne({ _id: id, ...NOT_REVOKED }, change, bounded)).matchedCount,
      );
      await options.tokensEnded([id]);
      if (revoked === 0)
        throw problems.notFound('There is no such service account.', 'service_account_not_found');
      options.emit('ServiceAccountRevoked', { accountId: id, ...cause });
    },
    async revokeToken(id, jti, until) {
      const before = await cache.write([groupOf(id)], () =>
        rows().findOneAndUpdate({ _id: id, ...NOT_REVOKED }, tokenRevocation(jti, until), {
          ...bounded,
          ...{ returnDocument: 'before', projection: { revokedTokens: 1 } },
        }),
      );
      await options.tokensEnded([id]);
      return before !== null && !(before.revokedTokens ?? []).some((one) => one.jti === jti);
    },
    pendingEnds: createPendingAccountEnds(rows, {
      ...options,
      exact: () => exactReads(connection, options.timeoutMs),
    }),
    find,
    findStored: load,
    async authenticate(id, secret) {
      const row = await rowOf(id);
      const isEqual = isEqualInConstantTime(sha256(secret), row?.secretHash ?? sha256(''));
      return row !== null && isEqual ? viewOf(row) : null;
    },
  };
}

function viewOf({
  _id,
  createdAt,
  name,
  scopes,
  secretPrefix,
  createdBy,
  tokenVersion = 0,
  revokedTokens = [],
}: AccountRow): ServiceAccount {
  const tokens = { tokenVersion, revokedTokens: revokedTokens.map(({ jti }) => jti) };
  return {
    id: _id,
    name,
    scopes,
    secretPrefix,
    createdBy,
    createdAt: createdAt.toISOString(),
    ...tokens,
  };
}

const tooManyAccounts = () =>
  problems.conflict(
    'too_many_service_accounts',
    `There can be at most ${MAX_ACCOUNTS} service accounts.`,
  );
