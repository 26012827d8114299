import type { Module, PersonalData } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import type { MailedCodes } from './email-sign-in/mailed-codes';
import type { FactorKind } from './factors/factor-kinds';
import type { MfaTokens } from './factors/mfa-tokens';
import type { Identities } from './federation/identities';
import type { Steps } from './federation/steps';
import type { Passkey, PasskeyStore } from './passkeys/passkey-store';
import { personalDataSchema } from './personal-data-schema';
import type { MailDelivery } from './recovery/mail-delivery';
import type { OneTimeTokens } from './recovery/one-time-tokens';
import type { ServiceAccounts } from './service-accounts/service-accounts';
import type { KnownDevices } from './sessions/known-devices';
import type { SessionStore } from './sessions/session-store';

interface Dependencies {
  readonly store: Pick<SessionStore, 'ofUser' | 'removeOlder'>;
  readonly devices: Pick<KnownDevices, 'ofUser' | 'forget'>;
  readonly mailTokens: Pick<OneTimeTokens, 'ofUser' | 'revoke'>;
  readonly delivery: Pick<MailDelivery, 'waiting'>;
  readonly kinds: readonly FactorKind[];
  readonly mfaTokens: Pick<MfaTokens, 'revoke'>;
  readonly mailedCodes: Pick<MailedCodes, 'ofUser' | 'forget'>;
  readonly passkeyStore: Pick<PasskeyStore, 'find' | 'purge'>;
  readonly services: Pick<ServiceAccounts, 'createdBy' | 'renameCreator'>;
  readonly identities: Pick<Identities, 'ofUser' | 'forget'>;
  readonly steps: Pick<Steps, 'forget'>;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

const exportedPasskey = ({ name, credentialId, createdAt, lastUsedAt }: Passkey) => ({
  name,
  credential_id: credentialId,
  created_at: createdAt.toISOString(),
  last_used_at: lastUsedAt?.toISOString() ?? null,
});

/** The records of authentication about a user: without hashes, tokens and secrets. */
export function createAuthPersonalData(
  deps: Dependencies,
): Required<Pick<Module<DomainEvents>, 'personalData' | 'purge'>> {
  const { store, devices, mailTokens, delivery, mailedCodes, services, kinds, identities } = deps;
  const { passkeyStore } = deps;
  const personalData: PersonalData = {
    schema: personalDataSchema,
    async read(userId) {
      const [sessions, known, tokens, codes, mails, created, factors, linked, holder] =
        await Promise.all([
          store.ofUser(userId, new Date(deps.now())),
          devices.ofUser(userId),
          mailTokens.ofUser(userId),
          mailedCodes.ofUser(userId),
          delivery.waiting.ofAccount(userId),
          services.createdBy(userId),
          Promise.all(kinds.map((kind) => kind.list(userId))),
          identities.ofUser(userId),
          passkeyStore.find(userId),
        ]);
      return {
        sessions: sessions.map((row) => ({
          id: row._id,
          created_at: row.createdAt.toISOString(),
          last_used_at: row.lastUsedAt.toISOString(),
          expires_at: row.until.toISOString(),
          user_agent: row.userAgent,
          ip_prefix: row.ipPrefix,
          dpop_key: row.dpopJkt ?? null,
        })),
        devices: known.map((until) => ({ known_until: until.toISOString() })),
        factors: factors.flat().map(({ id, kind, name, createdAt, lastUsedAt }) => ({
          ...{ id, kind, name, created_at: createdAt.toISOString() },
          last_used_at: lastUsedAt?.toISOString() ?? null,
        })),
        one_time_tokens: tokens.map(({ purpose, email, until }) => ({
          purpose,
          email,
          expires_at: until.toISOString(),
        })),
        mailed_codes: codes.map((until) => ({ expires_at: until.toISOString() })),
        mails: mails.map(({ kind, to, createdAt, expiresAt }) => ({
          kind,
          to,
          created_at: createdAt.toISOString(),
          expires_at: expiresAt.toISOString(),
        })),
        identities: linked.map(({ provider, issuer, subject, email, createdAt, lastUsedAt }) => ({
          ...{ provider, issuer, subject, email },
          created_at: createdAt.toISOString(),
          last_used_at: lastUsedAt?.toISOString() ?? null,
        })),
        passkeys: holder?.passkeys.map(exportedPasskey) ?? [],
        service_accounts: created.map(({ id, name, scopes, createdAt }) => ({
          id,
          name,
          scopes,
          created_at: createdAt,
        })),
      };
    },
  };
  return {
    personalData,
    async purge({ userId, pseudonym }) {
      await Promise.all([
        store.removeOlder(userId, undefined),
        devices.forget(userId),
        mailTokens.revoke(userId),
        deps.mfaTokens.revoke(userId),
        ...kinds.map((kind) => kind.purge(userId)),
        mailedCodes.forget(userId),
        delivery.waiting.forget(userId),
        services.renameCreator(userId, pseudonym),
        identities.forget(userId),
        deps.steps.forget(userId),
      ]);
    },
  };
}
