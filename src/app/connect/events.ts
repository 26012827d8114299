import { type Auth, issuerOf, principalOf } from '../../modules/auth';
import { createEvents, createRenderer, measureMoves, PUMP_LEASE_MS } from '../../modules/events';
import { createRemovalOutbox } from '../../modules/privacy';
import { createUserOutbox, USER_EVENTS, type Users } from '../../modules/users';
import { createWebhooks } from '../../modules/webhooks';
import { createEventLog } from '../../platform/event-log/event-log';
import { createMover } from '../../platform/event-log/mover';
import { createLocks } from '../../platform/mongo/locks';
import { createPendingLook } from '../../platform/outbox/outbox-source';
import { openEventStream } from '../event-stream';
import type { Shared } from './dependencies';

const DAY_MS = 86_400_000;

/** Events for other services: the event log, and webhooks that read it. */
export function connectEvents(shared: Shared, users: Users, auth: Auth) {
  const { config, log, metrics, own, connection, now, timeoutMs } = shared;
  const eventLog = createEventLog(connection, { timeoutMs });
  const userOutbox = createUserOutbox(connection, { timeoutMs });
  const removalOutbox = createRemovalOutbox(connection, { timeoutMs, existing: users.existing });
  const locks = createLocks(connection, { ttlMs: PUMP_LEASE_MS, timeoutMs });
  const common = { eventLog, own, log, now, locks, types: USER_EVENTS } as const;
  const events = createEvents({
    ...common,
    mover: createMover(eventLog, [userOutbox, removalOutbox], measureMoves(metrics, now)),
    anyPending: createPendingLook(connection, [removalOutbox, userOutbox], timeoutMs),
    restMs: shared.traffic.restMs,
    keepMs: config.events.keepDays * DAY_MS,
    issuer: issuerOf(config),
    streamsMax: config.events.streamsMax,
    draining: shared.draining,
    mayStill: auth.mayStill,
    redisStream: shared.sendsMail ? openEventStream(shared) : undefined,
  });
  const webhooks = createWebhooks({
    ...{ ...common, connection, metrics, emit: shared.emit },
    ...{ secrets: shared.secrets, settings: config.webhooks },
    render: createRenderer(issuerOf(config)),
    allowsHttp: config.server.environment !== 'production',
    keepDays: config.events.keepDays,
    operationTimeoutMs: timeoutMs,
    requesterOf: principalOf,
    assertRecentLogin: auth.assertRecentLogin,
    mayStill: auth.mayStill,
  });
  return { events, webhooks };
}
