import { sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import { foldEmail } from '../../../kernel/fold';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { BackgroundQueue } from '../../../platform/jobs/background-queue';
import { type EmitEvent, emitOnce } from '../../domain-events';
import type { LoginGuard } from '../login-guard';
import { MAILED_CODE } from '../login-locks';
import { emailSignInDisabled, invalidSignInCode, mailQueueFull } from '../problems';
import { requesterOf } from '../recovery/mail-budget';
import type { MailDelivery } from '../recovery/mail-delivery';
import { deviceKey, type KnownDevices } from '../sessions/known-devices';
import type { CountBegunSignIn } from '../sign-in/begun-sign-ins';
import type { SignInResult } from '../sign-in/complete-sign-in';
import type { ProvenSignIn } from '../sign-in/proven-sign-in';
import type { Credentials, UsersPort } from '../users-port';
import type { MailedCodes, SignInAwaitingCode, TakenTry } from './mailed-codes';

export interface EmailSignIn {
  /**
   * Resolves with the token that the asking device keeps: without it the mailed code is worth
   * nothing. The mail goes to a verified address of an active account alone, after the answer, so
   * that neither the answer nor its time reveals whether there is one. Throws 403
   * `email_sign_in_disabled`, 429 and 503 where too many sign-ins have begun, and 503
   * `mail_queue_full`.
   */
  request(email: string, client: ClientInfo): Promise<{ token: string; expiresInSeconds: number }>;
  /** Throws 400 `invalid_sign_in_code`, 403 `password_change_required`, 429. */
  verify(token: string, code: string, client: ClientInfo): Promise<SignInResult>;
}

export interface EmailSignInDependencies {
  readonly users: UsersPort;
  readonly pending: MailedCodes;
  readonly delivery: Pick<MailDelivery, 'sendCode' | 'issueDecoy' | 'noteRequest'>;
  readonly devices: Pick<KnownDevices, 'knownUntil'>;
  readonly loginGuard: LoginGuard;
  /** A row is stored for each, also for an address without an account. */
  readonly countBegun: CountBegunSignIn;
  readonly backgroundQueue: BackgroundQueue;
  readonly provenSignIn: ProvenSignIn;
  readonly emit: EmitEvent;
  /** Keyed. */
  readonly addressDigest: (address: string) => string;
  readonly isEnabled: boolean;
  readonly ttlSeconds: number;
}

type Found = Credentials | undefined;

/** Access to a mailbox (not among the values of RFC 8176). */
const AMR = ['email'] as const;

/** In the place of the address and the session version of an account. */
const NO_ACCOUNT = { email: '', sessionVersion: -1 } as const;

export function createEmailSignIn(deps: EmailSignInDependencies): EmailSignIn {
  const { users, pending, delivery, devices, loginGuard, emit, ttlSeconds } = deps;

  /** Stands for the account of an address that has none, or none that may sign in. */
  function decoyOf(email: string): string {
    const digest = sha256(deps.addressDigest(`sign-in code\n${foldEmail(email)}`));
    return Buffer.from(digest, 'base64url').toString('hex', 0, 12);
  }

  /**
   * A code that nobody gets, under the limits of one that is mailed: wrong codes are answered, and
   * counted, as for an account.
   */
  async function issueDecoy(token: string, email: string, client: ClientInfo): Promise<void> {
    const userId = decoyOf(email);
    await delivery.issueDecoy({ account: userId, to: email }, client, () =>
      pending.issue(token, { userId, ...NO_ACCOUNT }, ttlSeconds),
    );
  }

  function mailingCode(token: string, email: string, client: ClientInfo): () => Promise<void> {
    const tell = emitOnce(emit);
    return async () => {
      const found = await users.credentialsByEmail(email);
      // A stranger who opened the account with this address still knows its password: only
      // a verified address signs in.
      const isUsable = found?.status === 'active' && found.emailVerified;
      tell('EmailSignInRequested', { userId: found?.id, isUsable, client });
      if (!isUsable) return issueDecoy(token, email, client);
      const { id: userId, sessionVersion } = found;
      const recipient = { account: userId, to: found.email };
      const by = await requesterOf(devices, found, client);
      await delivery.sendCode(recipient, by, ttlSeconds, () =>
        pending.issue(token, { userId, email: found.email, sessionVersion }, ttlSeconds),
      );
    };
  }

  /** The account, if it still is what it was when the code was mailed. */
  async function accountOf({ userId, email, sessionVersion }: SignInAwaitingCode) {
    const found = await users.credentialsById(userId);
    const stands =
      found?.status === 'active' &&
      found.emailVerified &&
      found.sessionVersion === sessionVersion &&
      foldEmail(found.email) === foldEmail(email);
    return stands ? found : undefined;
  }

  /**
   * The account, after the same work whether or not there is one. Counts a wrong code against it,
   * by the device's own count where it is known.
   */
  async function check(
    { pending: { userId }, ...taken }: TakenTry,
    found: Found,
    client: ClientInfo,
  ) {
    const knownUntil = await devices.knownUntil(found, client);
    const key =
      knownUntil === undefined
        ? ({ by: 'login', account: userId } as const)
        : ({ by: 'device', account: deviceKey(userId, client) } as const);
    const attempt = { ...key, passwordHash: MAILED_CODE, client };
    const isRight = taken.isRight && found !== undefined;
    const { refusal } = await loginGuard.guard(attempt, (turn) => turn(async () => isRight));
    if (refusal === undefined && isRight) return { account: found, knownUntil };
    const reason = refusal?.code ?? (found === undefined ? 'no_usable_account' : 'wrong_code');
    emit('LoginFailed', { userId: found?.id, reason, client });
    throw refusal ?? invalidSignInCode();
  }

  return {
    async request(email, client) {
      if (!deps.isEnabled) throw emailSignInDisabled();
      await deps.countBegun(client);
      const token = randomToken(32);
      delivery.noteRequest('sign-in-code');
      const job = mailingCode(token, email, client);
      if (!deps.backgroundQueue.enqueue('sign-in-code', job)) throw mailQueueFull();
      return { token, expiresInSeconds: ttlSeconds };
    },

    async verify(token, code, client) {
      if (!deps.isEnabled) throw emailSignInDisabled();
      await loginGuard.enter(client);
      const taken = await pending.take(token, code);
      if (taken === undefined) {
        emit('LoginFailed', { userId: undefined, reason: 'invalid_sign_in_code', client });
        throw invalidSignInCode();
      }
      const found = await accountOf(taken.pending);
      const { account, knownUntil } = await check(taken, found, client);
      if (!(await pending.consume(token))) throw invalidSignInCode();
      return deps.provenSignIn(account, { amr: AMR, client, knownUntil }, invalidSignInCode);
    },
  };
}
