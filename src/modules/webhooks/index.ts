import type { BlockList } from 'node:net';
import { type Connection, Types } from 'mongoose';
import type { Secrets } from '../../kernel/crypto/encryption';
import type { Closable } from '../../kernel/lifecycle';
import type { EventLog, LoggedEvent } from '../../platform/event-log/event-log';
import { NO_CLIENT } from '../../platform/http/client-info';
import type { Module } from '../../platform/module';
import type { Locks } from '../../platform/mongo/locks';
import type { Logger } from '../../platform/telemetry/logger';
import type { Metrics } from '../../platform/telemetry/metrics';
import type { DomainEvents, EmitEvent } from '../domain-events';
import { attempt } from './attempt';
import { createDeliveryStore } from './delivery-store';
import { startDispatcher } from './dispatcher';
import { allowedNetworks } from './guarded-lookup';
import { measureAttempts } from './metrics';
import { createWebhookExport } from './personal-data';
import { createWebhookRoutes, type WebhookRoutesDependencies } from './routes';
import { createWebhookSecrets } from './secrets';
import { webhooksStorage } from './storage';
import type { Webhook } from './webhook';
import { createWebhookService } from './webhook-service';
import { createWebhookStore } from './webhook-store';

export { webhooksStorage } from './storage';

export interface WebhooksDependencies
  extends Pick<
    WebhookRoutesDependencies,
    'types' | 'requesterOf' | 'assertRecentLogin' | 'mayStill' | 'allowsHttp'
  > {
  readonly emit: EmitEvent;
  readonly connection: Connection;
  readonly eventLog: EventLog;
  /** The event as JSON, as readers of the log get it. */
  readonly render: (event: LoggedEvent) => string;
  readonly secrets: Secrets;
  readonly locks: Locks;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly settings: {
    readonly allowedNetworks: readonly string[] | undefined;
    readonly timeoutMs: number;
    readonly retrySeconds: readonly number[];
    readonly disableAfterDays: number;
  };
  /** How long events are kept. */
  readonly keepDays: number;
  /** Longest time of one operation of the database. */
  readonly operationTimeoutMs: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

export interface Webhooks extends Module<DomainEvents> {
  /** Sends events until the process closes. */
  start(): void;
}

const DAY_MS = 86_400_000;
/** The client waits for the answer to its test. */
const TEST_TIMEOUT_MS = 5000;
const TEST_TYPE = 'webhook.test';

/** Posts events to the addresses of other services (Standard Webhooks). */
export function createWebhooks(deps: WebhooksDependencies): Webhooks {
  const { connection, settings, now, own } = deps;
  const timeoutMs = deps.operationTimeoutMs;
  const store = createWebhookStore(connection, { timeoutMs, now });
  const deliveries = createDeliveryStore(connection, { timeoutMs, keepDays: deps.keepDays });
  const secrets = createWebhookSecrets(deps.secrets, now);
  const allowed: BlockList = allowedNetworks(settings.allowedNetworks ?? []);
  const measure = measureAttempts(deps.metrics, now);

  const post = (webhook: Webhook, event: LoggedEvent, limitMs: number, signal?: AbortSignal) =>
    attempt(
      { id: event.id, body: deps.render(event) },
      {
        ...{ url: new URL(webhook.url), allowed, timeoutMs: limitMs, now },
        secrets: secrets.current(webhook._id, webhook.secrets),
        ...(signal && { signal }),
      },
    );

  return {
    name: 'webhooks',
    storage: webhooksStorage,
    personalData: createWebhookExport(store),
    purge: ({ userId, pseudonym }) => store.renameCreator(userId, pseudonym),
    routes: createWebhookRoutes({
      ...{ ...deps, store, deliveries, allowed },
      service: createWebhookService({ ...deps, store, deliveries, secrets }),
      sendTest: (webhook) =>
        post(webhook, testEvent(now()), Math.min(TEST_TIMEOUT_MS, settings.timeoutMs)),
    }),
    start() {
      own(
        'webhooks',
        startDispatcher({
          ...{ ...deps, store, deliveries, timeoutMs: settings.timeoutMs },
          disableAfterMs: settings.disableAfterDays * DAY_MS,
          retryMs: settings.retrySeconds.map((seconds) => seconds * 1000),
          stands: store.stands,
          send: async (webhook, event, signal) =>
            measure(event, await post(webhook, event, settings.timeoutMs, signal)),
          disabled: ({ _id, createdBy: userId, url, disabledReason: reason = 'failing' }) =>
            deps.emit('WebhookDisabled', {
              ...{ webhookId: _id, userId, host: new URL(url).host, reason, client: NO_CLIENT },
            }),
        }),
      );
    },
  };
}

const testEvent = (atMs: number): LoggedEvent => ({
  ...{ sequence: 0, id: new Types.ObjectId().toHexString(), type: TEST_TYPE },
  ...{ subject: '000000000000000000000000', at: new Date(atMs) },
});
