import { z } from 'zod';
import type { EnrolledFactor, FactorKind } from '../factors/factor-kinds';
import { lastSignInMethod } from '../federation/problems';
import type { PasskeyAuthentication, UsedPasskey } from './authentication';
import type { PasskeyStore } from './passkey-store';
import { type AssertionJson, assertionJson } from './webauthn-schemas';

const PASSKEY_KIND = 'passkey';

/**
 * RFC 8176: `swk` for a passkey that can be synchronized, `hwk` for one that cannot leave its
 * device, `user` for the touch, and `mfa` where the authenticator has verified the user as well.
 */
export const methodsOf = ({ passkey, isUserVerified }: UsedPasskey): string[] => [
  passkey.isBackupEligible ? 'swk' : 'hwk',
  'user',
  ...(isUserVerified ? ['mfa'] : []),
];

interface PasskeyKindDependencies {
  readonly store: PasskeyStore;
  readonly authentication: Pick<PasskeyAuthentication, 'finishFactor'>;
  /** Whether the user can sign in without a passkey. */
  readonly hasOtherWay: (userId: string) => Promise<boolean>;
}

/** Passkeys as second factors. They can sign in alone as well, so the last one may have to stay. */
export function createPasskeyKind(deps: PasskeyKindDependencies): FactorKind {
  const { store, authentication, hasOtherWay } = deps;
  return {
    kind: PASSKEY_KIND,
    isPrimary: true,
    proof: z.strictObject({ credential: assertionJson }),
    // Independent of the present settings: an account keeps its factor.
    isEnrolled: store.hasAny,
    async list(userId) {
      const found = await store.find(userId);
      return (found?.passkeys ?? []).map(
        ({ id, name, createdAt, lastUsedAt }): EnrolledFactor => ({
          ...{ id, kind: PASSKEY_KIND, name, createdAt, lastUsedAt },
        }),
      );
    },
    async verify({ userId, holder, client, input }) {
      const credential = input['credential'] as AssertionJson;
      const used = await authentication.finishFactor({ userId, holder }, credential, client);
      return { amr: methodsOf(used), id: used.passkey.id };
    },
    async remove(userId, id, until) {
      const keepsOne = !(await hasOtherWay(userId));
      const removed = await store.remove(userId, id, { keepsOne, until });
      if (removed === 'last') throw lastSignInMethod();
      return removed !== 'not_found' && removed !== 'late';
    },
    removeAll: store.removeAll,
    purge: store.purge,
  };
}
