import { z } from 'zod';
import type { EventLog } from '../../platform/event-log/event-log';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import type { PersonalData } from '../../platform/module';

/** The last ones; a user has a few in the time that they are kept. */
const EVENTS_MAX = 10_000;

const personalEvent = z.object({
  id: shownId('Id of an event that other services can read.'),
  type: shownText(64, 'The kind of event.', 'user.updated'),
  at: shownTime('When it happened.'),
  fields: z
    .array(shownText(64, 'A member that changed.', 'email'))
    .max(32)
    .optional(),
});

export const createEventExport = (eventLog: Pick<EventLog, 'ofSubject'>): PersonalData => ({
  schema: { events: z.array(personalEvent).max(EVENTS_MAX) },
  async read(userId) {
    const found = await eventLog.ofSubject(userId, EVENTS_MAX);
    const events = found.map(({ id, type, at, fields }) => ({
      ...{ id, type, at: at.toISOString() },
      ...(fields === undefined ? {} : { fields }),
    }));
    return { events };
  },
});
