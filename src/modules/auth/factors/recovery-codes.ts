import { randomBytes } from 'node:crypto';
import type { Connection } from 'mongoose';
import { z } from 'zod';
import { sha256 } from '../../../kernel/crypto/digest';
import { commandTime } from '../../../platform/mongo/command-time';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import type { EmitEvent } from '../../domain-events';
import type { LoginGuard } from '../login-guard';
import { wrongCode } from '../problems';
import type { FactorKind } from './factor-kinds';

const RECOVERY_CODES_COLLECTION = 'recovery_codes';
const RECOVERY_CODE_KIND = 'recovery_code';

/** One document per account: its set of codes. */
interface CodesRow {
  /** The id of the account. */
  readonly _id: string;
  /** SHA-256 of the account and the code: 80 random bits cannot be found by trying. */
  readonly codes: readonly string[];
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
  /** Sessions of an older version get no codes (`FactorKind.removeAll`). */
  readonly minVersion?: number;
}

/**
 * Of a row with `minVersion` whose codes were removed. It has all members, for hosts of the release
 * before this one. A set that is used up has `lastUsedAt`.
 */
const isRemoved = ({ codes, lastUsedAt }: CodesRow): boolean =>
  codes.length === 0 && lastUsedAt === undefined;

export interface RecoveryCodes extends FactorKind {
  /**
   * A new set, which replaces the earlier one. Shown once. undefined: sessions of this version get
   * none any more.
   */
  replace(userId: string, version: number): Promise<readonly string[] | undefined>;
  remaining(userId: string): Promise<number>;
}

const CODES = 10;
export const FEW_CODES = 3;
/** Crockford's base 32: no letter looks like a digit. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const CODE_CHARS = 16;

function newCode(): string {
  const chars = [...randomBytes(CODE_CHARS)].map((byte) => ALPHABET[byte % ALPHABET.length]);
  return chars.join('').replace(/(.{4})(?=.)/g, '$1-');
}

/** As people type it: hyphens and case do not matter, and o, i and l are digits. */
const normalized = (code: string) =>
  code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1');
const hashOf = (userId: string, code: string) => sha256(`${userId}\n${normalized(code)}`);

const codeField = z
  .string()
  .regex(/^[0-9A-Za-z]{4}([ -]?[0-9A-Za-z]{4}){3}$/, 'must be 16 letters and digits')
  .meta({
    description: 'One of the recovery codes that are left.',
    maxLength: 19,
    examples: ['7k2m-9x4q-v8t1-c5ny'],
  });

export function createRecoveryCodes(deps: {
  readonly connection: Connection;
  readonly timeoutMs: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly loginGuard: LoginGuard;
  readonly emit: EmitEvent;
}): RecoveryCodes {
  const { connection, loginGuard, emit, now } = deps;
  const bounded = { maxTimeMS: deps.timeoutMs };
  const rows = () => connection.collection<CodesRow>(RECOVERY_CODES_COLLECTION);
  const find = (userId: string) => rows().findOne({ _id: userId }, bounded);
  const remaining = async (userId: string) => (await find(userId))?.codes.length ?? 0;

  /** undefined: no such code is left. Of several concurrent uses of one, one succeeds. */
  async function use(userId: string, code: string): Promise<number | undefined> {
    const hash = hashOf(userId, code);
    const after = await rows().findOneAndUpdate(
      { _id: userId, codes: hash },
      { $pull: { codes: hash }, $currentDate: { lastUsedAt: true } },
      { ...bounded, returnDocument: 'after' },
    );
    return after?.codes.length;
  }

  /** False: there is a row, and it wants a later session version, or has come meanwhile. */
  async function store(userId: string, plain: string[], version: number): Promise<boolean> {
    const codes = plain.map((code) => hashOf(userId, code));
    const { inTime, assertInTime } = commandTime(now, deps.timeoutMs);
    const replaced = await rows().updateOne(
      { _id: userId, minVersion: { $not: { $gt: version } }, ...inTime },
      { $set: { codes }, $currentDate: { createdAt: true }, $unset: { lastUsedAt: true } },
      bounded,
    );
    if (replaced.matchedCount === 1) return true;
    assertInTime();
    // The condition is none of an upsert. This one undoes nothing when it comes late.
    const { upsertedCount } = await rows()
      .updateOne(
        { _id: userId },
        { $setOnInsert: { codes, createdAt: new Date(now()) } },
        { ...bounded, upsert: true },
      )
      .catch((error: unknown) => {
        if (!isDuplicateKey(error)) throw error;
        return { upsertedCount: 0 };
      });
    return upsertedCount === 1;
  }

  return {
    kind: RECOVERY_CODE_KIND,
    isPrimary: false,
    proof: z.strictObject({ code: codeField }),
    isEnrolled: async (userId) => (await remaining(userId)) > 0,
    remaining,

    async list(userId) {
      const found = await find(userId);
      if (found === null || isRemoved(found)) return [];
      const { createdAt, lastUsedAt, codes } = found;
      const name = 'Recovery codes';
      const times = { createdAt, lastUsedAt, remaining: codes.length };
      return [{ id: RECOVERY_CODE_KIND, kind: RECOVERY_CODE_KIND, name, ...times }];
    },

    async verify({ userId, client, input }) {
      let left: number | undefined;
      await loginGuard.enter(client);
      const kind = RECOVERY_CODE_KIND;
      const attempt = { by: 'factor', account: userId, kind, isAlone: true, client } as const;
      const { isRight, refusal } = await loginGuard.guard(attempt, (turn) =>
        turn(async () => {
          left = await use(userId, String(input['code']));
          return left !== undefined;
        }),
      );
      if (refusal !== undefined || !isRight || left === undefined) throw refusal ?? wrongCode();
      emit('RecoveryCodeUsed', { userId, remaining: left, client });
      return { amr: ['rc'], id: RECOVERY_CODE_KIND, codesLeft: left };
    },

    async replace(userId, version) {
      const codes = Array.from({ length: CODES }, newCode);
      const isStored = () => store(userId, codes, version);
      // The first refusal may be of another insert in the same instant.
      return (await isStored()) || (await isStored()) ? codes : undefined;
    },

    // They are replaced as a set, or removed with the last factor.
    remove: async () => false,
    async removeAll(userId, before) {
      const { inTime, assertInTime } = commandTime(now, deps.timeoutMs);
      if (before === undefined) {
        const unfenced = { _id: userId, minVersion: { $exists: false }, ...inTime };
        const { deletedCount } = await rows().deleteOne(unfenced, bounded);
        if (deletedCount === 1) return 1;
      } else {
        const none = { codes: [], createdAt: new Date(now()) };
        const fence = { $max: { minVersion: before }, $setOnInsert: none };
        await rows().updateOne({ _id: userId }, fence, { ...bounded, upsert: true });
      }
      const had = await rows().findOneAndUpdate(
        { _id: userId, ...inTime },
        { $set: { codes: [] }, $currentDate: { createdAt: true }, $unset: { lastUsedAt: true } },
        { ...bounded, returnDocument: 'before' },
      );
      if (had === null) assertInTime();
      return had === null || isRemoved(had) ? 0 : 1;
    },
    async purge(userId) {
      await rows().deleteOne({ _id: userId }, bounded);
    },
  };
}
