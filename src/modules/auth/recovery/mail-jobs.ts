import type { ClientInfo } from '../../../platform/http/client-info';
import type { BackgroundQueue } from '../../../platform/jobs/background-queue';
import { type EmitEvent, emitOnce } from '../../domain-events';
import { mailQueueFull } from '../problems';
import { deviceName } from '../sessions/device-name';
import type { KnownDevices } from '../sessions/known-devices';
import type { UsersPort } from '../users-port';
import type { MailDelivery } from './mail-delivery';
import type { FactorNotice, MailKind } from './mail-kinds';
import { type OneTimeTokens, PURPOSES, type Purpose } from './one-time-tokens';

/**
 * Mails are sent after the answer, so that the time of an answer does not reveal whether a mail was
 * sent.
 */
export interface MailJobs {
  /** Throws 503 `mail_queue_full`. */
  enqueue(kind: MailKind, job: () => Promise<void>): void;
  /** Drops the job when the queue is full. */
  tryEnqueue(kind: MailKind, job: () => Promise<void>): void;
  /** Mails a notice to the account. */
  passwordChanged(userId: string): void;
  factorNotice(userId: string, kind: FactorNotice): void;
  /** Mails a notice to the former address, and revokes the links that were mailed before. */
  emailChanged(userId: string, from: string): void;
  /** Mails a notice to the account: `provider` by its name. */
  identityChanged(
    kind: 'identity-linked' | 'identity-unlinked',
    userId: string,
    provider: string,
  ): void;
  /** Mails a notice to the creator of a webhook. `host`: of its address. */
  webhookDisabled(userId: string, host: string): void;
  /**
   * After a login from an unknown device: a notice to the account, unless it is the first device.
   * Everything is found out after the answer, so that it costs the login nothing.
   */
  newDevice(userId: string, client: ClientInfo): void;
  /** Revokes the tokens of these purposes, and removes their mails from the queue. */
  revokeLinks(userId: string, purposes: readonly Purpose[]): Promise<void>;
}

export interface MailJobsDependencies {
  readonly users: UsersPort;
  readonly tokens: OneTimeTokens;
  readonly backgroundQueue: BackgroundQueue;
  readonly delivery: MailDelivery;
  readonly devices: Pick<KnownDevices, 'hasOther'>;
  readonly emit: EmitEvent;
  /** The setting NEW_DEVICE_MAIL. */
  readonly mailsNewDevices: boolean;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

export function createMailJobs(deps: MailJobsDependencies): MailJobs {
  const { users, tokens, backgroundQueue, delivery, devices, emit, now } = deps;

  async function revokeLinks(userId: string, purposes: readonly Purpose[]): Promise<void> {
    await Promise.all([tokens.revoke(userId, purposes), delivery.cancel(userId, purposes)]);
  }

  function notice(userId: string, kind: 'password-changed' | FactorNotice): void {
    backgroundQueue.enqueue(kind, async () => {
      const user = await users.identity(userId);
      if (user !== null) await delivery.sendNotice({ kind, account: userId, to: user.email });
    });
  }

  return {
    enqueue(kind, job) {
      delivery.noteRequest(kind);
      if (backgroundQueue.enqueue(kind, job)) return;
      throw mailQueueFull();
    },
    tryEnqueue(kind, job) {
      delivery.noteRequest(kind);
      backgroundQueue.enqueue(kind, job);
    },
    passwordChanged: (userId) => notice(userId, 'password-changed'),
    factorNotice: notice,
    emailChanged(userId, from) {
      backgroundQueue.enqueue('email-changed', async () => {
        await revokeLinks(userId, PURPOSES);
        await delivery.sendNotice({ kind: 'email-changed', account: userId, to: from });
      });
    },
    identityChanged(kind, userId, provider) {
      backgroundQueue.enqueue(kind, async () => {
        const user = await users.identity(userId);
        if (user === null) return;
        await delivery.sendIdentityNotice({ kind, account: userId, to: user.email }, provider);
      });
    },
    webhookDisabled(userId, host) {
      backgroundQueue.enqueue('webhook-disabled', async () => {
        const user = await users.identity(userId);
        if (user === null) return;
        const envelope = { kind: 'webhook-disabled', account: userId, to: user.email } as const;
        await delivery.sendWebhookDisabled(envelope, host);
      });
    },
    newDevice(userId, client) {
      const atMs = now();
      const tell = emitOnce(emit);
      backgroundQueue.enqueue('new-device', async () => {
        if (!(await devices.hasOther(userId, client))) return;
        tell('NewDeviceUsed', { userId, client });
        const user = deps.mailsNewDevices ? await users.identity(userId) : null;
        if (user === null) return;
        const login = { atMs, network: client.ipPrefix, device: deviceName(client.userAgent) };
        await delivery.sendNewDevice(userId, user.email, login);
      });
    },
    revokeLinks,
  };
}
