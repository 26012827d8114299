import { randomBytes } from 'node:crypto';
import { decryptWithAny, encryptForAll, type Secrets } from '../../kernel/crypto/encryption';
import type { StoredSecret } from './webhook';

/** The keys of signatures: 32 random bytes, in the form of the Standard Webhooks specification. */
export interface WebhookSecrets {
  create(): string;
  /** Encrypted for this webhook alone. */
  stored(webhook: string, secret: string): StoredSecret;
  /** Those that sign now, the newest first. */
  current(webhook: string, stored: readonly StoredSecret[]): string[];
}

const BYTES = 32;

export function createWebhookSecrets(secrets: Secrets, now: () => number): WebhookSecrets {
  const contextOf = (webhook: string) => `webhook\n${webhook}`;
  const isCurrent = ({ until }: StoredSecret) => until === undefined || until.getTime() > now();
  return {
    create: () => `whsec_${randomBytes(BYTES).toString('base64')}`,
    stored: (webhook, secret) => ({
      encrypted: encryptForAll(secrets, contextOf(webhook), Buffer.from(secret)),
    }),
    current: (webhook, stored) =>
      stored
        .filter(isCurrent)
        .map(({ encrypted }) =>
          decryptWithAny(secrets, contextOf(webhook), encrypted).toString('utf8'),
        ),
  };
}
