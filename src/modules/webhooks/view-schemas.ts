import { z } from 'zod';
import { SEQUENCE_MAX } from '../../platform/http/parameters';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { DISABLED_REASONS, FAILURES } from './webhook';

export const URL_MAX = 2048;
const DESCRIPTION_MAX = 100;

export const sequence = z
  .int()
  .min(0)
  .max(SEQUENCE_MAX)
  .meta({ examples: [1042] });
export const failure = z
  .object({
    at: shownTime('When it was tried.'),
    reason: z.enum(FAILURES).meta({
      description:
        '`status`: the answer was not 2xx. `redirect`: it was 3xx, which is not followed. `refused_target`: the address is not a public one.',
      examples: ['status'],
    }),
    status: z
      .int()
      .min(100)
      .max(999)
      .nullable()
      .meta({ description: 'Status of the answer; null: there was none.', examples: [503] }),
  })
  .meta({ id: 'WebhookFailure' });

const gap = z
  .object({
    at: shownTime('When it was found.'),
    after: sequence.meta({ description: 'The last event that was sent before.' }),
    before: sequence.meta({ description: 'The first event that was still kept.' }),
  })
  .meta({
    id: 'WebhookGap',
    description:
      'The events between the two expired before they were sent: read their users again.',
  });

export const webhookView = (types: readonly string[]) =>
  z
    .object({
      id: shownId('Id of the webhook.'),
      url: shownText(URL_MAX, 'Where events are posted to.', 'https://crm.example.org/hook'),
      description: shownText(DESCRIPTION_MAX, 'For people.', 'CRM'),
      types: z
        .array(z.enum(types))
        .max(types.length)
        .nullable()
        .meta({ description: 'The types that are sent; null: all.' }),
      status: z.enum(['enabled', 'disabled']).meta({ description: 'Whether events are sent.' }),
      disabled_reason: z.enum(DISABLED_REASONS).nullable().meta({
        description:
          '`gone`: the receiver answered 410. `failing`: nothing could be delivered for days.',
      }),
      position: sequence.meta({
        description: 'Events up to this sequence were sent, or are to be sent again.',
      }),
      failing_since: shownTime('Since when nothing can be delivered; null: it can.').nullable(),
      last_delivered_at: shownTime('The last delivery; null: none yet.').nullable(),
      last_failure: failure.nullable().meta({ description: 'The last failed attempt.' }),
      last_gap: gap.nullable().meta({ description: 'The last loss of events; null: none.' }),
      created_by: shownText(
        30,
        'The user who created it; the pseudonym of a removed one.',
        '652f1c3e9b1d4a0012ab34cd',
      ),
      created_at: shownTime('When it was created.'),
    })
    .meta({ id: 'Webhook' });

export type WebhookView = z.output<ReturnType<typeof webhookView>>;

export const deliveryView = (types: readonly string[]) =>
  z
    .object({
      sequence: sequence.meta({ description: 'Of the event.' }),
      type: z
        .enum(types)
        .nullable()
        .meta({ description: 'Type of the event; null: the event is no longer kept.' }),
      state: z.enum(['waiting', 'dead']).meta({
        description:
          '`dead`: all attempts have failed, or the event is no longer kept; `redeliver` begins anew.',
        examples: ['dead'],
      }),
      attempts: z
        .int()
        .min(0)
        .max(1000)
        .meta({ description: 'So far.', examples: [3] }),
      next_attempt_at: shownTime('The next attempt; null: there is none.').nullable(),
      last_failure: failure.nullable(),
      created_at: shownTime('The first attempt.'),
    })
    .meta({ id: 'WebhookDelivery', description: 'A delivery that failed.' });
