import { z } from 'zod';
import type { LoggedEvent } from '../../platform/event-log/event-log';
import { endpoint } from '../../platform/http/endpoint';
import {
  commaSeparated,
  SEQUENCE_MAX,
  sequenceNumber,
  wholeNumber,
} from '../../platform/http/parameters';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';

/** Events per answer, and unless `limit` says otherwise. */
const LIMIT_MAX = 1000;
export const LIMIT = 100;
/** Clients connect again, with a token that is still accepted. */
export const STREAM_MAX_SECONDS = 600;

const position = sequenceNumber('must be the sequence of an event, or 0').meta({
  examples: [1042],
});

const eventSequence = z
  .int()
  .min(0)
  .max(SEQUENCE_MAX)
  .meta({ examples: [1042] });

const eventData = z
  .object({
    revision: z
      .int()
      .min(1)
      .max(SEQUENCE_MAX)
      .optional()
      .meta({ description: 'Of the user after the change; each change adds one.', examples: [7] }),
    fields: z
      .array(shownText(64, 'A member of the user.', 'email'))
      .max(32)
      .optional()
      .meta({
        description:
          'The members that changed, as a user has them; `password` stands for a new one.',
      }),
    sessions: z
      .object({
        ids: z.array(shownText(64, 'Id of a session.', '652f1c3e9b1d4a0012ab34ce')).max(1000),
        version: eventSequence,
        kept: shownText(64, 'Id of the session that goes on.', '652f1c3e9b1d4a0012ab34ce'),
      })
      .partial()
      .optional()
      .meta({
        description:
          'The sessions that ended: those of `ids`; or all, so that tokens whose `ver` is less than `version` are no longer accepted, but for the session `kept`.',
      }),
  })
  .meta({ id: 'EventData', description: 'Names, never values.' });

const eventView = (types: readonly string[]) =>
  z
    .object({
      specversion: z.literal('1.0'),
      id: shownId('Of the event. A reader that has seen it can leave it out.'),
      source: shownText(2048, 'The issuer of access tokens.', 'https://auth.example.org'),
      type: z.enum(types).meta({ description: 'The kind of event.' }),
      subject: shownId('Id of the user.'),
      time: shownTime('When it happened.'),
      datacontenttype: z.literal('application/json'),
      sequence: shownText(15, 'Its place in the order of all events, without gaps.', '1042'),
      data: eventData,
    })
    .meta({ id: 'Event', description: 'As CloudEvents 1.0 has it.' });

export type EventView = z.output<ReturnType<typeof eventView>>;

export const viewOfEvent = (source: string, event: LoggedEvent): EventView => ({
  specversion: '1.0',
  id: event.id,
  source,
  type: event.type,
  subject: event.subject,
  time: event.at.toISOString(),
  datacontenttype: 'application/json',
  sequence: String(event.sequence),
  data: {
    ...(event.revision === undefined ? {} : { revision: event.revision }),
    ...(event.fields === undefined ? {} : { fields: [...event.fields] }),
    ...(event.sessions === undefined ? {} : { sessions: sessionsOf(event.sessions) }),
  },
});

const sessionsOf = ({ ids, ...rest }: NonNullable<LoggedEvent['sessions']>) => ({
  ...rest,
  ...(ids === undefined ? {} : { ids: [...ids] }),
});

export function eventEndpoints(types: readonly string[]) {
  const view = eventView(types);
  const common = {
    method: 'get',
    tag: 'events',
    access: 'user',
    permission: 'events:read',
  } as const;
  const ofTypes = commaSeparated(z.enum(types), types.length)
    .optional()
    .meta({ description: 'Events of these types alone.' });
  const after = position
    .optional()
    .meta({ description: 'Events after this sequence; without it, from the oldest on.' });
  return {
    list: endpoint({
      ...common,
      path: '/api/events',
      id: 'listEvents',
      summary: 'Events of users, the oldest first',
      query: z.strictObject({
        after,
        type: ofTypes,
        limit: wholeNumber(1, LIMIT_MAX)
          .optional()
          .meta({ description: `Events per answer; ${LIMIT} unless given.` }),
      }),
      answers: {
        200: {
          description: 'The next events.',
          schema: z
            .object({
              data: z.array(view).max(LIMIT_MAX),
              next_after: eventSequence.meta({ description: '`after` of the next request.' }),
              has_more: z.boolean().meta({ description: 'More events exist.', examples: [false] }),
            })
            .meta({ id: 'EventPage' }),
        },
      },
      problems: ['events_expired'],
    }),
    stream: endpoint({
      ...common,
      path: '/api/events/stream',
      id: 'followEvents',
      summary: 'Follow what happens to users, by server-sent events',
      query: z.strictObject({
        after,
        type: ofTypes,
        for_seconds: wholeNumber(1, STREAM_MAX_SECONDS)
          .optional()
          .meta({ description: 'The stream ends after this time; clients connect again.' }),
      }),
      waits: true,
      produces: ['text/event-stream'],
      answers: {
        200: {
          description:
            'The `id` of each event is its sequence, for `Last-Event-ID`, its `event` the type, and its `data` the event as JSON.',
          schema: z
            .object({
              id: shownText(15, 'For `Last-Event-ID`.', '1042'),
              event: z.enum(types),
              data: shownText(10_000, 'The event as JSON.', '{"specversion":"1.0"}'),
            })
            .meta({ id: 'StreamedEvent', description: 'One event of the stream.' }),
        },
      },
      problems: ['events_expired', 'invalid_last_event_id', 'too_many_streams'],
    }),
  };
}
