import type { Request } from 'express';
import { problems } from '../../kernel/errors';
import type { PermissionSet } from '../../kernel/permissions';
import type { EventLog } from '../../platform/event-log/event-log';
import { clientOf } from '../../platform/http/client-info';
import { type MayStill, type Route, route } from '../../platform/http/endpoint';
import { NO_STORE } from '../../platform/http/no-store';
import type { ActorCause } from '../domain-events';
import type { Attempt } from './attempt';
import { DELIVERIES_LIMIT, webhookEndpoints } from './contract';
import type { DeliveryStore } from './delivery-store';
import { assertTarget, type TargetOptions } from './target';
import { viewOfDelivery, viewOfWebhook } from './view';
import type { Webhook } from './webhook';
import type { WebhookService } from './webhook-service';
import type { WebhookStore } from './webhook-store';

export interface WebhookRoutesDependencies extends TargetOptions {
  readonly service: WebhookService;
  readonly store: Pick<WebhookStore, 'get' | 'list'>;
  readonly deliveries: Pick<DeliveryStore, 'list'>;
  readonly eventLog: Pick<EventLog, 'typesOf'>;
  readonly types: readonly string[];
  readonly sendTest: (webhook: Webhook) => Promise<Attempt>;
  readonly requesterOf: (req: Request) => {
    readonly userId: string;
    readonly permissions: PermissionSet;
  };
  /** Throws 401 unless the login was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly mayStill: MayStill;
}

export function createWebhookRoutes(deps: WebhookRoutesDependencies): Route[] {
  const { service, store, deliveries, eventLog, requesterOf, assertRecentLogin } = deps;
  const endpoints = webhookEndpoints(deps.types);
  const ok = (body: object) => ({ status: 200, headers: NO_STORE, body });
  const causeOf = (req: Request): ActorCause => ({
    actor: requesterOf(req).userId,
    client: clientOf(req),
  });

  /** Throws 403. The address of a webhook, or its secret, gives access to the events. */
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
        assertReadsEvents(req);
        assertTarget(url, deps);
        // It outlives the session: a stolen access token must not get one.
        await assertRecentLogin(req);
        const wanted = { url, description, types, after };
        const { webhook, secret } = await service.create(wanted, causeOf(req));
        // Who lost the permission, or the session, while it was made must not keep it.
        if (!(await deps.mayStill(req, 'events:read'))) {
          await service.remove(webhook._id, causeOf(req));
          throw sessionEnded();
        }
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
      const changes = {
        ...(url !== undefined && { url }),
        ...(description !== undefined && { description }),
        ...(types !== undefined && { types }),
        ...(status !== undefined && { status }),
      };
      return ok(viewOfWebhook(await service.change(id, changes, causeOf(req))));
    }),
    route(endpoints.rotate, async ({ params: { id } }, req) => {
      // Before 403: those who may see webhooks are told that there is none.
      await store.get(id);
      assertReadsEvents(req);
      await assertRecentLogin(req);
      const { webhook, secret } = await service.rotateSecret(id, causeOf(req));
      return ok({ ...viewOfWebhook(webhook), secret });
    }),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await service.remove(id, causeOf(req));
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
      const count = await service.redeliver(id, body, causeOf(req));
      return { status: 202, headers: NO_STORE, body: { count } };
    }),
  ];
}

const sessionEnded = () =>
  problems.unauthorized(
    'invalid_token',
    'The session has ended, or its rights.',
    'error="invalid_token"',
  );
