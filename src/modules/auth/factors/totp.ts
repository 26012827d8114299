import { renderSVG } from 'uqr';
import { z } from 'zod';
import {
  DecryptionError,
  decryptWithAny,
  encryptForAll,
  type Secrets,
} from '../../../kernel/crypto/encryption';
import type { Logger } from '../../../platform/telemetry/logger';
import type { LoginGuard } from '../login-guard';
import { tooManyFactors, wrongCode } from '../problems';
import type { EnrolledFactor, FactorKind, FactorProof, VerifiedFactor } from './factor-kinds';
import { newTotpSecret, secretText, stepOf, totpUri } from './totp-codes';
import { ENROLLMENT_SECONDS, newFactorId, type TotpRow, type TotpStore } from './totp-store';

const TOTP_KIND = 'totp';

/** The secret of an enrolment, as an app reads it; shown once. */
export interface TotpEnrollment {
  readonly id: string;
  /** Base32, to type. */
  readonly secret: string;
  readonly uri: string;
  readonly qrSvg: string;
  readonly expiresInSeconds: number;
}

export interface Totp extends FactorKind {
  /** Replaces the pending enrolment of the account. Throws 409 `too_many_factors`. */
  enrol(userId: string, label: string, name: string): Promise<TotpEnrollment>;
  confirmEnrollment(proof: FactorProof, adding: () => Promise<void>): Promise<VerifiedFactor>;
}

export interface TotpDependencies {
  readonly store: TotpStore;
  readonly loginGuard: LoginGuard;
  readonly secrets: Secrets;
  readonly log: Logger;
  /** The name of the service in the app. */
  readonly issuer: string;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

const MAX_FACTORS = 5;
const AMR = ['otp'];
const digits = z
  .string()
  .regex(/^\d{6}$/, 'must be 6 digits')
  .meta({ description: 'The code that the app shows.', maxLength: 6, examples: ['492039'] });

const contextOf = ({ _id, userId }: Pick<TotpRow, '_id' | 'userId'>) => `totp ${userId} ${_id}`;

export function createTotp(deps: TotpDependencies): Totp {
  const { store, loginGuard, secrets, issuer, log, now } = deps;

  /** undefined: it was encrypted with a secret that this process does not have. */
  function secretOf(row: TotpRow): Buffer | undefined {
    try {
      return decryptWithAny(secrets, contextOf(row), row.secret);
    } catch (error) {
      if (!(error instanceof DecryptionError)) throw error;
      log.error(
        { factor: row._id },
        'factor secret not decrypted, set KEY_ENCRYPTION_SECRET_PREVIOUS',
      );
      return undefined;
    }
  }

  /** Under the limits of the kind. */
  async function check(
    { userId, client }: FactorProof,
    accept: () => Promise<string | undefined>,
  ): Promise<VerifiedFactor> {
    let id: string | undefined;
    await loginGuard.enter(client);
    const attempt = { by: 'factor', account: userId, kind: TOTP_KIND, client } as const;
    const { isRight, refusal } = await loginGuard.guard(attempt, (turn) =>
      turn(async () => {
        id = await accept();
        return id !== undefined;
      }),
    );
    if (refusal !== undefined || !isRight || id === undefined) throw refusal ?? wrongCode();
    return { amr: AMR, id };
  }

  const stepIn = (
    { lastStep }: Pick<TotpRow, 'lastStep'>,
    secret: Buffer,
    { input }: FactorProof,
  ) => stepOf(secret, String(input['code']), now(), lastStep);

  async function use(row: TotpRow, proof: FactorProof): Promise<'used' | 'repeated' | 'wrong'> {
    const secret = secretOf(row);
    if (secret === undefined) return 'wrong';
    const step = stepIn(row, secret, proof);
    const isRepeated = step === undefined && stepIn({ lastStep: 0 }, secret, proof) !== undefined;
    if (step === undefined) return isRepeated ? 'repeated' : 'wrong';
    // Encrypted anew at each use, so that a factor in use outlives a change of the secret.
    const renewed = encryptForAll(secrets, contextOf(row), secret);
    return (await store.use(row._id, row.userId, step, renewed)) ? 'used' : 'repeated';
  }

  return {
    kind: TOTP_KIND,
    isPrimary: true,
    proof: z.strictObject({ code: digits }),
    isEnrolled: store.isEnrolled,

    async list(userId) {
      return (await store.confirmedOf(userId)).map(
        ({ _id: id, name, createdAt, lastUsedAt }): EnrolledFactor => ({
          ...{ id, kind: TOTP_KIND, name, createdAt, lastUsedAt },
        }),
      );
    },

    verify: (proof) =>
      check(proof, async () => {
        let isRepeated = false;
        for (const row of await store.confirmedOf(proof.userId)) {
          const found = await use(row, proof);
          if (found === 'used') return row._id;
          isRepeated ||= found === 'repeated';
        }
        // Refused as a wrong one is, and not counted: who repeats a right code guesses nothing.
        if (isRepeated) throw wrongCode();
        return undefined;
      }),

    async enrol(userId, label, name) {
      if ((await store.confirmedOf(userId)).length >= MAX_FACTORS)
        throw tooManyFactors(MAX_FACTORS);
      const row = { _id: newFactorId(), userId, name };
      const secret = newTotpSecret();
      await store.enrol({ ...row, secret: encryptForAll(secrets, contextOf(row), secret) });
      const uri = totpUri(secret, issuer, label);
      return {
        ...{ id: row._id, secret: secretText(secret), uri, qrSvg: renderSVG(uri) },
        expiresInSeconds: ENROLLMENT_SECONDS,
      };
    },

    confirmEnrollment: (proof, adding) =>
      check(proof, async () => {
        const row = await store.pendingOf(proof.userId);
        const secret = row === null ? undefined : secretOf(row);
        const step = row && secret && stepIn(row, secret, proof);
        if (row === null || step === undefined || step === null) return undefined;
        // The session has ended meanwhile: the next request of the client is told so.
        if (await store.isFenced(proof.userId, proof.version)) return undefined;
        await adding();
        return (await store.confirm(row._id, row.userId, step)) ? row._id : undefined;
      }),

    remove: store.remove,
    removeAll: store.removeAll,
    purge: store.purge,
  };
}
