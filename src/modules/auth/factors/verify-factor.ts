import { sha256 } from '../../../kernel/crypto/digest';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { dpopProofOfFirstStep, invalidMfaToken, refreshTokenModeMissing } from '../problems';
import { reportingFailure } from '../refusals';
import { withFactor } from '../sessions/authentication';
import type { CurrentSession } from '../sessions/end-sessions';
import { bindingOf } from '../sessions/open-session';
import type { DeliveredPair } from '../sessions/token-pair';
import type { OpenSignIn, SignedIn } from '../sign-in/complete-sign-in';
import type { Account, UsersPort } from '../users-port';
import type { FactorChanges } from './factor-changes';
import { enrolledKinds } from './factor-gate';
import type { FactorKind, FactorProof, VerifiedFactor } from './factor-kinds';
import { isOfClient, type MfaTokens, type SignInAwaitingFactor } from './mfa-tokens';

/** The factor that the client sent. */
export interface OfferedFactor {
  readonly kind: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** The recovery codes that the client must show: those of a first factor, or how few are left. */
export interface CodesShown {
  readonly recoveryCodes?: readonly string[] | undefined;
  readonly codesLeft?: number | undefined;
}

export interface VerifyFactor {
  /**
   * Opens the session that waits for a factor. With a token that enrols, the offered factor is the
   * pending enrolment. Throws 400 `invalid_mfa_token`, and the refusal of the factor. Throws
   * 400 `invalid_refresh_token_mode` and `invalid_dpop_proof` where the first step asked for the
   * cookie or a key and this one does not.
   */
  signIn(token: string, offered: OfferedFactor, client: ClientInfo): Promise<SignedIn & CodesShown>;
  /** The account that an `mfa_token` asks for a factor. Throws 400. */
  waitingAccount(token: string, client: ClientInfo): Promise<Account>;
  /** The account of an `mfa_token` that allows to enrol a first factor. Throws 400. */
  enrollingAccount(token: string, client: ClientInfo): Promise<Account>;
  /** The present session has the factor, as of now. */
  stepUp(
    current: CurrentSession,
    offered: OfferedFactor,
    client: ClientInfo,
  ): Promise<{ readonly tokens: DeliveredPair } & CodesShown>;
  /** Checks one factor, and reports a refusal. */
  check(kind: FactorKind, proof: FactorProof): Promise<VerifiedFactor>;
}

export interface VerifyFactorDependencies {
  readonly kinds: readonly FactorKind[];
  readonly changes: FactorChanges;
  readonly mfaTokens: MfaTokens;
  readonly users: Pick<UsersPort, 'stored'>;
  readonly openSignIn: OpenSignIn;
  readonly emit: EmitEvent;
}

/** Of a pending sign-in: the holder of challenges that are issued to it. */
export const holderOf = (mfaToken: string): string => sha256(`holder ${mfaToken}`);

export function createVerifyFactor(deps: VerifyFactorDependencies): VerifyFactor {
  const { kinds, changes, mfaTokens, users, openSignIn, emit } = deps;

  function kindOf(name: string): FactorKind {
    const found = kinds.find(({ kind }) => kind === name);
    if (found === undefined) throw new Error(`no factor of the kind ${name}`);
    return found;
  }

  const reporting = <T>(
    { kind }: FactorKind,
    { userId, client }: FactorProof,
    work: () => Promise<T>,
  ): Promise<T> =>
    reportingFailure((reason) => emit('FactorFailed', { userId, kind, reason, client }), work);

  /** Before the factor is looked at, which is used up. */
  function assertSameBinding(
    { inCookie, dpopJkt }: SignInAwaitingFactor,
    client: ClientInfo,
  ): void {
    const asked = bindingOf(client);
    if (inCookie === true && asked.inCookie !== true) throw refreshTokenModeMissing();
    if (dpopJkt !== undefined && asked.dpopJkt !== dpopJkt) throw dpopProofOfFirstStep();
  }

  const check = (kind: FactorKind, proof: FactorProof) =>
    reporting(kind, proof, () => kind.verify(proof));

  /**
   * The account, from the database, if nothing has ended its sessions since the first step: a new
   * password, role, ban or logout everywhere does.
   */
  async function standing({
    userId,
    sessionVersion,
  }: SignInAwaitingFactor): Promise<Account | null> {
    const account = await users.stored(userId);
    const stands = account?.status === 'active' && account.sessionVersion === sessionVersion;
    return stands ? account : null;
  }

  async function open(
    token: string,
    client: ClientInfo,
  ): Promise<{ signIn: SignInAwaitingFactor; account: Account }> {
    const signIn = await mfaTokens.find(token);
    if (signIn !== null && !isOfClient(signIn, client)) {
      const { userId } = signIn;
      emit('FactorFailed', { userId, kind: 'mfa_token', reason: 'another_client', client });
      throw invalidMfaToken();
    }
    const account = signIn === null ? null : await standing(signIn);
    if (signIn === null || account === null) throw invalidMfaToken();
    return { signIn, account };
  }

  /** Refused where the account has a factor by now: it is not asked for the first one any more. */
  async function assertMayEnrol({ enrols, userId }: SignInAwaitingFactor): Promise<void> {
    if (!enrols || (await enrolledKinds(kinds, userId)).length > 0) throw invalidMfaToken();
  }

  async function enrolAndOpen(
    token: string,
    { signIn, account }: { signIn: SignInAwaitingFactor; account: Account },
    { kind: name, input }: OfferedFactor,
    client: ClientInfo,
  ): Promise<SignedIn & CodesShown> {
    await assertMayEnrol(signIn);
    const kind = kindOf(name);
    if (kind.confirmEnrollment === undefined) throw invalidMfaToken();
    const version = signIn.sessionVersion;
    const proof = { userId: account.id, holder: holderOf(token), version, client, input };
    /** The token goes first: nothing that fails after the factor was added hides it. */
    async function adding(): Promise<void> {
      if (!(await mfaTokens.consume(token))) throw invalidMfaToken();
      await changes.changing({ userId: account.id });
    }
    const verified = await reporting(
      kind,
      proof,
      async () => kind.confirmEnrollment?.(proof, adding) ?? Promise.reject(invalidMfaToken()),
    );
    if ((await standing(signIn)) === null) {
      // The write that ended the sign-in meanwhile ended the enrolment too.
      await kind.remove(account.id, verified.id);
      throw invalidMfaToken();
    }
    const change = { userId: account.id, version, actor: account.id, client };
    const shown = await changes.added({ kind, id: verified.id }, change);
    return { ...(await session(account, signIn, verified, client)), recoveryCodes: shown };
  }

  const session = (
    account: Account,
    { amr: firstAmr, knownUntil, isNew }: SignInAwaitingFactor,
    verified: VerifiedFactor,
    client: ClientInfo,
  ) =>
    openSignIn(account, {
      amr: withFactor(firstAmr, verified.amr),
      ...{ firstAmr, client, knownUntil, isNew, isTold: true },
    });

  return {
    check,

    async waitingAccount(token, client) {
      const { signIn, account } = await open(token, client);
      if (signIn.enrols) throw invalidMfaToken();
      return account;
    },

    async enrollingAccount(token, client) {
      const { signIn, account } = await open(token, client);
      await assertMayEnrol(signIn);
      return account;
    },

    async signIn(token, offered, client) {
      const opened = await open(token, client);
      const { signIn, account } = opened;
      assertSameBinding(signIn, client);
      if (signIn.enrols) return enrolAndOpen(token, opened, offered, client);
      const { kind, input } = offered;
      const { sessionVersion: version } = signIn;
      const proof = { userId: account.id, holder: holderOf(token), version, client, input };
      const verified = await check(kindOf(kind), proof);
      // Of several uses at once, one opens a session.
      if (!(await mfaTokens.consume(token))) throw invalidMfaToken();
      const signedIn = await session(account, signIn, verified, client);
      return { ...signedIn, codesLeft: verified.codesLeft };
    },

    async stepUp(current, { kind, input }, client) {
      const { userId, sid, ver: version } = current;
      const used = kindOf(kind);
      const verified = await check(used, { userId, holder: sid, version, client, input });
      const tokens = await changes.stepUp(current, used, verified);
      emit('SteppedUp', { userId, kind, session: sid, client });
      return { tokens, codesLeft: verified.codesLeft };
    },
  };
}
