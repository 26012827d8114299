import { Problem } from '../../kernel/errors';
import type { EventLog } from '../../platform/event-log/event-log';
import { hasAllAfter } from '../../platform/event-log/has-all-after';
import type { ActorCause, Cause, EmitEvent } from '../domain-events';
import type { DeliveryStore } from './delivery-store';
import type { WebhookSecrets } from './secrets';
import type { Webhook } from './webhook';
import type { WebhookChanges, WebhookStore } from './webhook-store';

export interface WebhookServiceDependencies {
  readonly store: WebhookStore;
  readonly deliveries: DeliveryStore;
  readonly secrets: WebhookSecrets;
  readonly eventLog: Pick<EventLog, 'latest' | 'oldest' | 'reached' | 'typesOf'>;
  readonly emit: EmitEvent;
}

interface WithSecret {
  readonly webhook: Webhook;
  readonly secret: string;
}

interface WantedWebhook extends Pick<Webhook, 'url' | 'description' | 'types'> {
  /** Its first event is the next one after this sequence; undefined: the next that happens. */
  readonly after: number | undefined;
}

/** Sends one event again, all after a sequence, or (empty) all failed deliveries. */
interface Redelivery {
  readonly sequence?: number | undefined;
  readonly after?: number | undefined;
}

/** Every change that somebody makes to a webhook. Each throws 404 where there is none. */
export interface WebhookService {
  /** The actor is its creator. */
  create(wanted: WantedWebhook, cause: ActorCause): Promise<WithSecret>;
  change(id: string, changes: WebhookChanges, cause: Cause): Promise<Webhook>;
  rotateSecret(id: string, cause: Cause): Promise<WithSecret>;
  remove(id: string, cause: Cause): Promise<void>;
  /** Resolves with the number of deliveries that are due. */
  redeliver(id: string, which: Redelivery, cause: Cause): Promise<number>;
}

export function createWebhookService(deps: WebhookServiceDependencies): WebhookService {
  const { store, deliveries, secrets, eventLog, emit } = deps;
  const changed = (webhookId: string, how: 'created' | 'changed' | 'removed', cause: Cause) =>
    emit('WebhookChanged', { webhookId, how, ...cause });

  async function makeDue(id: string, { sequence, after }: Redelivery): Promise<number> {
    await store.get(id);
    if (sequence !== undefined) {
      if (!(await eventLog.typesOf([sequence])).has(sequence)) throw expired();
      await deliveries.makeOneDue(id, sequence);
      await store.wake(id);
      return 1;
    }
    if (after === undefined) {
      const count = await deliveries.makeDue(id, 'all');
      await store.wake(id);
      return count;
    }
    if (!(await hasAllAfter(eventLog, after))) throw expired();
    return Math.max(0, (await store.replayAfter(id, after)) - after);
  }

  return {
    async create({ after, ...wanted }, cause) {
      if (after !== undefined && !(await hasAllAfter(eventLog, after))) throw expired();
      const secret = secrets.create();
      const webhook = await store.create({
        ...{ ...wanted, createdBy: cause.actor },
        position: after ?? (await eventLog.latest()),
        secretOf: (id) => secrets.stored(id, secret),
      });
      changed(webhook._id, 'created', cause);
      return { webhook, secret };
    },
    async change(id, changes, cause) {
      const webhook = await store.change(id, changes);
      changed(id, 'changed', cause);
      return webhook;
    },
    async rotateSecret(id, cause) {
      const secret = secrets.create();
      const webhook = await store.addSecret(id, secrets.stored(id, secret));
      changed(id, 'changed', cause);
      return { webhook, secret };
    },
    async remove(id, cause) {
      await store.remove(id);
      await deliveries.removeAll(id);
      changed(id, 'removed', cause);
    },
    async redeliver(id, which, cause) {
      const count = await makeDue(id, which);
      changed(id, 'changed', cause);
      return count;
    },
  };
}

const expired = () =>
  new Problem(410, 'events_expired', 'Gone', { detail: 'The log has no such event.' });
