import type { MailDelivery } from '../recovery/mail-delivery';
import { type OneTimeTokens, PURPOSES } from '../recovery/one-time-tokens';
import type { KnownDevices } from '../sessions/known-devices';
import type { SessionStore } from '../sessions/session-store';

interface BulkCleanUpDependencies {
  readonly mailTokens: Pick<OneTimeTokens, 'revokeOf'>;
  readonly delivery: Pick<MailDelivery, 'cancel'>;
  readonly devices: Pick<KnownDevices, 'forgetOf'>;
  readonly store: Pick<SessionStore, 'removeOlderOf'>;
}

interface ChangedAccounts {
  readonly links: readonly string[];
  readonly passwords: readonly { readonly id: string; readonly sessionVersion: number }[];
}

/**
 * After a change of many accounts by somebody else: revokes mailed links, and of those that have
 * another password also the devices and ended sessions, as `AuthAdministration.setPassword` does.
 */
export const createBulkCleanUp =
  ({ mailTokens, delivery, devices, store }: BulkCleanUpDependencies) =>
  async ({ links, passwords }: ChangedAccounts): Promise<void> => {
    const ofLinks =
      links.length === 0
        ? []
        : [mailTokens.revokeOf(links, PURPOSES), delivery.cancel(links, PURPOSES)];
    const ofPasswords =
      passwords.length === 0
        ? []
        : [devices.forgetOf(passwords.map(({ id }) => id)), store.removeOlderOf(passwords)];
    await Promise.all([...ofLinks, ...ofPasswords]);
  };
