import type { KeptSession } from './model';
import { pendingSessions } from './pending-ends';
import { revokedEvent } from './user-events';

export interface Revocation {
  readonly id: string;
  readonly sids: readonly string[];
  /** When the last access token of these sessions has expired. */
  readonly until: Date;
  readonly keep?: KeptSession | undefined;
  readonly now: Date;
}

/** Bounds what every cached user carries. An entry lives as long as an access token. */
export const MAX_REVOKED = 100;

const TOO_MANY = { $gt: [{ $size: '$revokedSessions' }, MAX_REVOKED] };

/** By the database's clock: a host with a wrong one would drop entries that are still needed. */
const LIVE = {
  $filter: { input: '$revokedSessions', cond: { $gt: ['$$this.until', '$$NOW'] } },
};

/** Client input is a `$literal`: in a pipeline a string that begins with `$` names a field. */
const isKnown = (sid: string) => ({ $in: [{ $literal: sid }, '$revokedSessions.sid'] });

/** Adds to the revoked sessions those of a revocation, as an update pipeline. */
export function revoked(revocation: Revocation) {
  const { sids, until, keep } = revocation;
  // Once for each: a session that is ended a hundred times is one, and so is its event.
  const added = sids.map((sid) => ({
    $cond: [isKnown(sid), [], [{ sid: { $literal: sid }, until }]],
  }));
  return [
    { $set: { revokedSessions: LIVE } },
    // Of one stage all expressions see the document before it.
    {
      $set: {
        revokedSessions: { $concatArrays: ['$revokedSessions', ...added] },
        wereRevoked: { $and: sids.map(isKnown) },
      },
    },
    pendingSessions(sids, TOO_MANY),
    versionWhereTooMany(keep),
    {
      $set: {
        outbox: outboxWith(revocation),
        revokedSessions: { $cond: [TOO_MANY, [], '$revokedSessions'] },
      },
    },
    { $unset: 'wereRevoked' },
  ];
}

/** Past the bound all tokens are refused by their version, except those of `keep`. */
function versionWhereTooMany(keep: KeptSession | undefined) {
  const stillKept =
    keep === undefined
      ? '$$REMOVE'
      : { $cond: [{ $eq: ['$sessionVersion', keep.ver] }, keep, '$$REMOVE'] };
  return {
    $set: {
      sessionVersion: { $cond: [TOO_MANY, { $add: ['$sessionVersion', 1] }, '$sessionVersion'] },
      keptSession: { $cond: [TOO_MANY, stillKept, '$keptSession'] },
    },
  };
}

/** With the event of these sessions, or of all, unless they were revoked before. */
function outboxWith({ sids, keep, now }: Revocation) {
  const allEnded = {
    version: '$sessionVersion',
    ...(keep === undefined ? {} : { kept: '$keptSession.sid' }),
  };
  const theseEnded = { ids: sids.map(($literal) => ({ $literal })) };
  const event = revokedEvent(now, { $cond: [TOO_MANY, allEnded, theseEnded] });
  const events = { $ifNull: ['$outbox', []] };
  return { $cond: ['$wereRevoked', events, { $concatArrays: [events, [event]] }] };
}
