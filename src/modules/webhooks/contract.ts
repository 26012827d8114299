import { z } from 'zod';
import { endpoint } from '../../platform/http/endpoint';
import { displayName, objectId } from '../../platform/http/fields';
import { SEQUENCE_MAX, sequenceNumber, wholeNumber } from '../../platform/http/parameters';
import { shownText } from '../../platform/http/view-schemas';
import { deliveryView, failure, sequence, URL_MAX, webhookView } from './view-schemas';
import { FAILURES } from './webhook';
import { MAX_WEBHOOKS } from './webhook-store';

const LIST_MAX = 100;

const SECRET = shownText(
  64,
  'For the signature (Standard Webhooks); only in this answer.',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
);

const managed = {
  tag: 'webhooks',
  access: 'user',
  permission: 'webhooks:manage',
  impersonation: false,
} as const;
const params = z.strictObject({ id: objectId.meta({ description: 'Id of a webhook.' }) });
const problems = ['webhook_not_found'] as const;

const described = displayName.meta({ description: 'For people.', examples: ['CRM'] });
const target = z
  .string()
  .max(URL_MAX)
  .regex(/^https?:\/\//, 'must begin with https://')
  .meta({
    description:
      'A public `https` address without user, password and fragment; outside production also `http`.',
    examples: ['https://crm.example.org/hook'],
  });

const changeable = (types: readonly string[]) => ({
  url: target,
  description: described.optional(),
  types: z
    .array(z.enum(types))
    .min(1)
    .max(types.length)
    .nullable()
    .optional()
    .meta({ description: 'The types to send; null: all.', examples: [['user.created']] }),
});

/** The endpoints that answer with a whole webhook. */
function webhookOperations(types: readonly string[]) {
  const view = webhookView(types);
  const withSecret = view.extend({ secret: SECRET }).meta({ id: 'WebhookWithSecret' });
  const fields = changeable(types);
  return {
    create: endpoint({
      ...managed,
      method: 'post',
      path: '/api/webhooks',
      id: 'createWebhook',
      summary: 'Send events to an address; only this answer has the secret of the signatures',
      body: z.strictObject({
        ...fields,
        after: sequence.optional().meta({
          description: 'Events after this sequence; without it, those that are still to come.',
        }),
      }),
      answers: {
        201: {
          description: 'Created.',
          schema: withSecret,
          headers: { Location: 'Path of the webhook.' },
        },
      },
      problems: [
        'insufficient_user_authentication',
        'too_many_webhooks',
        'exceeds_permissions',
        'events_expired',
      ],
    }),
    list: endpoint({
      ...managed,
      method: 'get',
      path: '/api/webhooks',
      id: 'listWebhooks',
      summary: 'List all webhooks, the newest first',
      answers: {
        200: {
          description: 'The webhooks.',
          schema: z.object({ data: z.array(view).max(MAX_WEBHOOKS) }).meta({ id: 'WebhookList' }),
        },
      },
    }),
    get: endpoint({
      ...managed,
      method: 'get',
      path: '/api/webhooks/:id',
      id: 'getWebhook',
      summary: 'Get a webhook',
      params,
      answers: { 200: { description: 'The webhook.', schema: view } },
      problems,
    }),
    change: endpoint({
      ...managed,
      method: 'patch',
      path: '/api/webhooks/:id',
      id: 'changeWebhook',
      summary: 'Change, disable or enable a webhook',
      params,
      body: z
        .strictObject({
          ...fields,
          url: target.optional(),
          status: z.enum(['enabled', 'disabled']).optional().meta({
            description: 'Enabled again, it gets the events that came meanwhile, too.',
          }),
        })
        .refine((body) => Object.keys(body).length > 0, {
          error: 'must have at least one member',
          params: { code: 'too_small', min: 1 },
        })
        .meta({ minProperties: 1 }),
      answers: { 200: { description: 'As it is now.', schema: view } },
      problems: ['insufficient_user_authentication', 'exceeds_permissions', ...problems],
    }),
    rotate: endpoint({
      ...managed,
      method: 'post',
      path: '/api/webhooks/:id/secret',
      id: 'rotateWebhookSecret',
      summary: 'Get a new secret; the former one signs beside it for a day',
      params,
      answers: { 200: { description: 'With the new secret.', schema: withSecret } },
      problems: ['insufficient_user_authentication', 'exceeds_permissions', ...problems],
    }),
  };
}

export function webhookEndpoints(types: readonly string[]) {
  const again = {
    description: 'How many events are sent again, at most: those of other types are not.',
    examples: [3],
  };
  return {
    ...webhookOperations(types),
    remove: endpoint({
      ...managed,
      method: 'delete',
      path: '/api/webhooks/:id',
      id: 'removeWebhook',
      summary: 'Remove a webhook, with what was still to be sent',
      params,
      answers: { 204: { description: 'Removed.' } },
      problems,
    }),
    test: endpoint({
      ...managed,
      method: 'post',
      path: '/api/webhooks/:id/test',
      id: 'testWebhook',
      summary: 'Send an event of the type `webhook.test` at once',
      idempotencyKey: false,
      params,
      answers: {
        200: {
          description: 'The result of the attempt.',
          schema: z
            .object({
              result: z.enum(['delivered', 'gone', 'failed']),
              reason: z.enum(FAILURES).nullable(),
              status: failure.shape.status,
              duration_ms: z
                .int()
                .min(0)
                .max(60_000)
                .meta({ examples: [120] }),
            })
            .meta({ id: 'WebhookTest' }),
        },
      },
      problems,
    }),
    deliveries: endpoint({
      ...managed,
      method: 'get',
      path: '/api/webhooks/:id/deliveries',
      id: 'listWebhookDeliveries',
      summary: 'List the deliveries that failed, the oldest event first',
      params,
      query: z.strictObject({
        state: z.enum(['waiting', 'dead']).optional().meta({ description: 'Only these.' }),
        after: sequenceNumber('must be the sequence of an event, or 0')
          .optional()
          .meta({ description: 'Those of events after this sequence.', examples: [1042] }),
        limit: wholeNumber(1, LIST_MAX).optional().meta({ description: 'Deliveries per answer.' }),
      }),
      answers: {
        200: {
          description: 'The deliveries.',
          schema: z
            .object({
              data: z.array(deliveryView(types)).max(LIST_MAX),
              next_after: sequence.meta({ description: '`after` of the next request.' }),
              has_more: z.boolean().meta({ description: 'More exist.', examples: [false] }),
            })
            .meta({ id: 'WebhookDeliveryPage' }),
        },
      },
      problems,
    }),
    redeliver: endpoint({
      ...managed,
      method: 'post',
      path: '/api/webhooks/:id/redeliver',
      id: 'redeliverWebhookEvents',
      summary: 'Send events again: one, all failed ones, or all after a sequence',
      params,
      body: z
        .strictObject({
          sequence: sequence
            .min(1)
            .optional()
            .meta({ description: 'One event, delivered or not.' }),
          failed: z.literal(true).optional().meta({ description: 'All that failed.' }),
          after: sequence.optional().meta({ description: 'Every event after this sequence.' }),
        })
        .refine((body) => Object.keys(body).length === 1, {
          error: 'must have exactly one of sequence, failed, after',
        })
        .meta({ minProperties: 1, maxProperties: 1, examples: [{ failed: true }] }),
      answers: {
        202: {
          description: 'They are sent as soon as the webhook is enabled.',
          schema: z
            .object({ count: z.int().min(0).max(SEQUENCE_MAX).meta(again) })
            .meta({ id: 'WebhookRedelivery' }),
        },
      },
      problems: ['events_expired', 'exceeds_permissions', ...problems],
    }),
  };
}
export const DELIVERIES_LIMIT = LIST_MAX;
