import { type BlockList, isIP } from 'node:net';
import type { Request } from 'express';
import { Problem, problems } from '../../kernel/errors';
import type { PermissionSet } from '../../kernel/permissions';
import type { EventLog } from '../../platform/event-log/event-log';
import { hasAllAfter } from '../../platform/event-log/has-all-after';
import { clientOf } from '../../platform/http/client-info';
import { type Route, route } from '../../platform/http/endpoint';
import { NO_STORE } from '../../platform/http/no-store';
import type { EmitEvent } from '../domain-events';
import type { Attempt } from './attempt';
import { DELIVERIES_LIMIT, webhookEndpoints } from './contract';
import type { DeliveryStore } from './delivery-store';
import { isAllowedTarget } from './guarded-lookup';
import type { WebhookSecrets } from './secrets';
import { viewOfDelivery, viewOfWebhook } from './view';
import type { Webhook } from './webhook';
import type { WebhookStore } from './webhook-store';

export interface WebhookRoutesDependencies {
  readonly store: WebhookStore;
  readonly deliveries: DeliveryStore;
  readonly secrets: WebhookSecrets;
  readonly eventLog: Pick<EventLog, 'latest' | 'oldest' | 'reached' | 'typesOf'>;
  readonly types: readonly string[];
  readonly allowed: BlockList;
  /** Whether `http` addresses are taken. */
  readonly allowsHttp: boolean;
  readonly sendTest: (webhook: Webhook) => Promise<Attempt>;
  readonly requesterOf: (req: Request) => {
    readonly userId: string;
    readonly permissions: PermissionSet;
  };
  /** Throws 401 unless the login was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly emit: EmitEvent;
}

export function createWebhookRoutes(deps: WebhookRoutesDependencies): Route[] {
  const { store, deliveries, secrets, eventLog, requesterOf, assertRecentLogin, emit } = deps;
  const endpoints = webhookEndpoints(deps.types);
  const ok = (body: object) => ({ status: 200, headers: NO_STORE, body });
  const changed = (req: Request, webhook: string, how: 'created' | 'changed' | 'removed') =>
    emit('WebhookChanged', {
      ...{ webhookId: webhook, how, actor: requesterOf(req).userId, client: clientOf(req) },
    });

  /** Throws 403. Whoever says where events go, or has the secret, reads them. */
  function assertReadsEvents(req: Request): void {
    if (!requesterOf(req).permissions.has('events:read'))
      throw problems.forbidden(
        'This needs the permission events:read, too.',
        'exceeds_permissions',
      );
  }

  return [
    route(
      endpoints.create,
      async ({ body: { after, description = '', types = null, url } }, req) => {
        const { userId } = requesterOf(req);
        assertReadsEvents(req);
        assertTarget(url, deps);
        // It outlives the session: a stolen access token must not get one.
        await assertRecentLogin(req);
        if (after !== undefined && !(await hasAllAfter(eventLog, after))) throw expired();
        const secret = secrets.create();
        const webhook = await store.create({
          ...{ url, description, types, createdBy: userId },
          position: after ?? (await eventLog.latest()),
          secretOf: (id) => secrets.stored(id, secret),
        });
        changed(req, webhook._id, 'created');
        const headers = { ...NO_STORE, Location: `/api/webhooks/${webhook._id}` };
        return { status: 201, headers, body: { ...viewOfWebhook(webhook), secret } };
      },
    ),
    route(endpoints.list, async () => ok({ data: (await store.list()).map(viewOfWebhook) })),
    route(endpoints.get, async ({ params: { id } }) => ok(viewOfWebhook(await store.get(id)))),
    route(endpoints.change, async ({ params: { id }, body }, req) => {
      const { url, description, types, status } = body;
      if (url !== undefined || types !== undefined || status === 'enabled') assertReadsEvents(req);
      if (url !== undefined) {
        assertTarget(url, deps);
        await assertRecentLogin(req);
      }
      const webhook = await store.change(id, {
        ...(url !== undefined && { url }),
        ...(description !== undefined && { description }),
        ...(types !== undefined && { types }),
        ...(status !== undefined && { status }),
      });
      changed(req, id, 'changed');
      return ok(viewOfWebhook(webhook));
    }),
    route(endpoints.rotate, async ({ params: { id } }, req) => {
      // Those who may see webhooks are told that there is none.
      await store.get(id);
      assertReadsEvents(req);
      await assertRecentLogin(req);
      const secret = secrets.create();
      const webhook = await store.addSecret(id, secrets.stored(id, secret));
      changed(req, id, 'changed');
      return ok({ ...viewOfWebhook(webhook), secret });
    }),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await store.remove(id);
      await deliveries.removeAll(id);
      changed(req, id, 'removed');
      return { status: 204 };
    }),
    route(endpoints.test, async ({ params: { id } }) => {
      const webhook = await store.get(id);
      const startMs = performance.now();
      const attempt = await deps.sendTest(webhook);
      const duration_ms = Math.round(performance.now() - startMs);
      const reason = attempt.result === 'failed' ? attempt.reason : null;
      return ok({ result: attempt.result, reason, status: attempt.status ?? null, duration_ms });
    }),
    route(endpoints.deliveries, async ({ params: { id }, query }) => {
      const { after = 0, limit = DELIVERIES_LIMIT, state } = query;
      await store.get(id);
      const found = await deliveries.list(id, {
        ...{ after, limit: limit + 1 },
        ...(state === undefined ? {} : { state }),
      });
      const page = found.slice(0, limit);
      const types = await eventLog.typesOf(page.map(({ sequence }) => sequence));
      const data = page.map((one) => viewOfDelivery(one, types.get(one.sequence)));
      const next_after = page.at(-1)?.sequence ?? after;
      return ok({ data, next_after, has_more: found.length > limit });
    }),
    route(endpoints.redeliver, async ({ params: { id }, body }, req) => {
      assertReadsEvents(req);
      const count = await redeliver(id, body);
      changed(req, id, 'changed');
      return { status: 202, headers: NO_STORE, body: { count } };
    }),
  ];

  async function redeliver(
    id: string,
    { sequence, after }: { sequence?: number | undefined; after?: number | undefined },
  ): Promise<number> {
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
}

const expired = () =>
  new Problem(410, 'events_expired', 'Gone', { detail: 'The log has no such event.' });

/** Throws 422. A name is checked again when it has been resolved, at each attempt. */
function assertTarget(text: string, options: TargetOptions): void {
  const message = faultOfTarget(text, options);
  if (message !== undefined)
    throw problems.invalid([{ pointer: '/url', code: 'invalid', message }]);
}

type TargetOptions = Pick<WebhookRoutesDependencies, 'allowed' | 'allowsHttp'>;

function faultOfTarget(text: string, { allowed, allowsHttp }: TargetOptions): string | undefined {
  if (!URL.canParse(text) || /[\p{Cc}\p{Cs}]/u.test(text)) return 'must be an absolute URL';
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(allowsHttp && url.protocol === 'http:'))
    return 'must begin with https://';
  if (url.username !== '' || url.password !== '' || text.includes('#'))
    return 'must have no user, password or fragment';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && !isAllowedTarget(host, allowed)
    ? 'must be a public address, or one of WEBHOOKS_ALLOWED_NETWORKS'
    : undefined;
}
