import type { Problem } from '../../../kernel/errors';
import type { MailMetrics } from '../../../platform/mail/metrics';
import type { Envelope, MailQueue } from '../../../platform/mail/queue';
import type { MailSender } from '../../../platform/mail/sender';
import { mailNotConfigured, mailQueueFull, tooManyMails } from '../problems';
import { createMailBudget, type MailBudgetDependencies, type Requester } from './mail-budget';
import type { AuthMailTemplates, MailKind } from './mail-kinds';
import { createMailLinks } from './mail-links';
import type { Grant, OneTimeTokens, Purpose } from './one-time-tokens';

interface AuthEnvelope extends Envelope {
  readonly kind: MailKind;
}

type Recipient = Pick<Envelope, 'account' | 'to'>;

interface NewDeviceLogin {
  readonly atMs: number;
  /** Coarse: IPv4 /24 or IPv6 /56. */
  readonly network: string;
  /** A name of this service's own choice, never the text that the client sent. */
  readonly device: string;
}

type MailRefusal = 'no_server' | 'budget' | 'queue_full' | 'recipient_full';

/** Renders mails and adds them to the queue, within the hourly limits. */
export interface MailDelivery {
  /**
   * Mails a new token to the grant's address. Older tokens of the same account and purpose are
   * revoked. Resolves with the refusal where no mail was queued.
   */
  sendToken(grant: Grant, by: Requester): Promise<MailRefusal | undefined>;
  /**
   * Logs that there is no mail server, where there is none. For requests of users, before anything
   * is looked up: then the log says it for an address without an account too.
   */
  noteRequest(kind: MailKind): void;
  /** Throws the problem of a refusal, for callers that may know of it: 409, 429 or 503. */
  assertSent(refusal: MailRefusal | undefined): void;
  /** Throws 409 `mail_not_configured`. */
  assertConfigured(): void;
  sendNotice(envelope: AuthEnvelope): Promise<void>;
  /** Mails the code that `issue` makes; it is not called where no mail can be queued. */
  sendCode(
    recipient: Recipient,
    by: Requester,
    ttlSeconds: number,
    issue: () => Promise<string>,
  ): Promise<void>;
  /** Calls `issue` where `sendCode` would, and mails nothing: for an address that gets no code. */
  issueDecoy(recipient: Recipient, by: Requester, issue: () => Promise<unknown>): Promise<void>;
  /** A notice of a login, with the link to ask for a new password. */
  sendNewDevice(account: string, to: string, login: NewDeviceLogin): Promise<void>;
  /** A notice of a change of linked identities, with the link to ask for a new password. */
  sendIdentityNotice(envelope: AuthEnvelope, provider: string): Promise<void>;
  /** A notice that nothing is sent to a webhook any more. `host`: of its address. */
  sendWebhookDisabled(envelope: AuthEnvelope, host: string): Promise<void>;
  /** Removes the waiting mails of these purposes, because their links were revoked. */
  cancel(account: string | readonly string[], purposes: readonly Purpose[]): Promise<void>;
  /** The waiting mails of an account, and their removal with the account. */
  readonly waiting: Pick<MailQueue, 'ofAccount' | 'forget'>;
}

export interface MailDeliveryDependencies extends MailBudgetDependencies {
  readonly templates: AuthMailTemplates;
  readonly tokens: OneTimeTokens;
  readonly queue: MailQueue;
  /** undefined: no mail server is configured. */
  readonly sender: Pick<MailSender, 'kick'> | undefined;
  readonly metrics: MailMetrics;
  readonly linkBase: string;
  /** A mail that has waited this long is dropped. */
  readonly retrySeconds: number;
  /** Lifetime of an invitation. */
  readonly invitationTtlSeconds: number;
}

/** Lifetime of the other links. */
const TTL_SECONDS: Readonly<Record<Exclude<Purpose, 'invitation'>, number>> = {
  'verify-email': 3 * 86_400,
  'change-email': 86_400,
  'reset-password': 3600,
};

/** Mails that a request of a user asks for, by an address that need not have an account. */
const ON_REQUEST: ReadonlySet<MailKind> = new Set([
  'verify-email',
  'change-email',
  'reset-password',
  'sign-in-code',
]);

export function createMailDelivery(deps: MailDeliveryDependencies): MailDelivery {
  const { templates, tokens, queue, sender, metrics, log, retrySeconds, now } = deps;
  const links = createMailLinks(deps.linkBase);
  const budget = createMailBudget(deps);

  /** `ttlSeconds`: how long its content is valid. It is not sent after that. */
  async function send(
    envelope: AuthEnvelope,
    ttlSeconds: number,
    by: Requester,
    values: () => Promise<Parameters<AuthMailTemplates['render']>[2]>,
  ): Promise<MailRefusal | undefined> {
    const { kind, to } = envelope;
    const refuse = (refusal: MailRefusal) => {
      metrics.dropped(kind, refusal);
      return refusal;
    };
    if (sender === undefined) {
      // Of a request it was said with the request: accounts that exist must not have lines of more.
      if (by === 'administration' || !ON_REQUEST.has(kind))
        log.warn({ kind }, 'mail dropped, SMTP_URL is not set');
      return refuse('no_server');
    }
    const make = async () => templates.render(kind, to, { site: links.site, ...(await values()) });
    const queued = await budget.within(envelope, by, () =>
      queue.add(envelope, Math.min(ttlSeconds, retrySeconds), make),
    );
    if (queued === undefined) return refuse('budget');
    const { result: refusal } = queued;
    if (refusal !== undefined) {
      log.warn({ kind, refusal }, 'mail dropped, too many are waiting');
      return refuse(refusal);
    }
    metrics.queued(kind);
    sender.kick();
    return undefined;
  }

  function problemOf(refusal: MailRefusal): Problem {
    if (refusal === 'no_server') return mailNotConfigured();
    if (refusal !== 'budget') return mailQueueFull();
    return tooManyMails(budget.secondsLeft());
  }

  async function cancel(
    account: string | readonly string[],
    kinds: readonly MailKind[],
  ): Promise<void> {
    for (const kind of kinds) {
      const count = await queue.cancel(account, [kind]);
      if (count > 0) metrics.dropped(kind, 'superseded', count);
    }
  }

  return {
    noteRequest(kind) {
      if (sender === undefined && ON_REQUEST.has(kind))
        log.warn({ kind }, 'mail requested, SMTP_URL is not set');
    },
    sendToken(grant, by) {
      const { purpose, userId: account, email: to } = grant;
      const ttlSeconds =
        purpose === 'invitation' ? deps.invitationTtlSeconds : TTL_SECONDS[purpose];
      return send({ kind: purpose, account, to }, ttlSeconds, by, async () => {
        await cancel(account, [purpose]);
        const token = await tokens.issue(grant, ttlSeconds);
        return {
          token,
          link: links.withSecret(purpose, `token=${token}`),
          valid_until: utc(now() + ttlSeconds * 1000),
        };
      });
    },
    assertSent(refusal) {
      if (refusal !== undefined) throw problemOf(refusal);
    },
    assertConfigured() {
      if (sender === undefined) throw mailNotConfigured();
    },
    async sendNotice(envelope) {
      await send(envelope, retrySeconds, 'notification', async () => ({}));
    },
    async sendCode(recipient, by, ttlSeconds, issue) {
      await send({ kind: 'sign-in-code', ...recipient }, ttlSeconds, by, async () => {
        const code = await issue();
        const link = links.withSecret('sign-in', `code=${code}`);
        return { code, link, valid_until: utc(now() + ttlSeconds * 1000) };
      });
    },
    async issueDecoy(recipient, by, issue) {
      if (sender === undefined) return;
      await budget.within({ kind: 'sign-in-code', ...recipient }, by, issue);
    },
    async sendNewDevice(account, to, { atMs, network, device }) {
      const values = { time: utc(atMs), network, device, reset_link: links.forgotPassword() };
      await send(
        { kind: 'new-device', account, to },
        retrySeconds,
        'notification',
        async () => values,
      );
    },
    async sendIdentityNotice(envelope, provider) {
      const values = { provider, reset_link: links.forgotPassword() };
      await send(envelope, retrySeconds, 'notification', async () => values);
    },
    async sendWebhookDisabled(envelope, host) {
      await send(envelope, retrySeconds, 'notification', async () => ({ host }));
    },
    cancel,
    waiting: queue,
  };
}

/** A point in time, not a duration: a mail may arrive hours later. */
const utc = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
