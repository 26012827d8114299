import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Config } from '../../kernel/config/config';
import { problems } from '../../kernel/errors';
import { createEarlyAnswers, type EarlyAnswers } from '../http/early-answers';
import { faultOfHost } from '../http/host-header';
import type { Metrics } from '../telemetry/metrics';
import { createInFlight } from './in-flight';
import { createLateTurns } from './late-turns';
import { exposeShedding } from './metrics';

/**
 * Refuses requests that could not be answered in time, before they cost anything. It uses two
 * signals, each of one worker:
 *
 * - *Requests in flight*: requests that wait for a database or a password hash. More of them than
 *   the limit only make all of them slower.
 * - *Long turns of the event loop*: one turn handles every connection that has a request ready.
 *   When turns keep taking longer than the budget, the requests of a turn that come after the
 *   budget are refused. So the next turn begins soon, and the delay of the loop stays near the
 *   budget under any load. (A timer would measure the delay one turn too late, and admission would
 *   swing between refusing everything and nothing.)
 *
 * A single long turn is no overload: something blocked the loop, and the requests that waited
 * meanwhile are served. A long turn of a few requests is no overload either: this process got
 * little processor time, for example while other workers start, and refusing requests would free
 * nothing.
 */
export interface Admission {
  wrap(app: RequestListener): RequestListener;
  /** Whether a request of this connection is in flight. */
  isWaiting(socket: object): boolean;
  state(): { readonly inFlight: number; readonly shed: number };
}

export interface AdmissionOptions {
  readonly limits: Pick<Config['limits'], 'inFlightMax' | 'loopBudgetMs'>;
  /** Paths that are never refused: health. */
  readonly exempt: ReadonlySet<string>;
  readonly metrics?: Metrics;
  /** Sends the refusals. */
  readonly early?: EarlyAnswers;
  readonly now?: () => number;
}

const overloaded = problems.unavailable(
  'overloaded',
  'The service is overloaded. Try again after the time in Retry-After.',
  1,
);

export function createAdmission(options: AdmissionOptions): Admission {
  const {
    limits,
    exempt,
    metrics,
    early = createEarlyAnswers(),
    now = () => performance.now(),
  } = options;
  const isLate = createLateTurns(limits.loopBudgetMs, now);
  const inFlight = createInFlight();
  const counter = metrics && exposeShedding(metrics, inFlight.count);
  let shed = 0;

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    reason: 'in_flight' | 'loop',
  ): void {
    shed++;
    counter?.inc({ reason });
    early.answer(request, response, overloaded);
  }

  function isRefused(request: IncomingMessage, response: ServerResponse): boolean {
    const fault = faultOfHost(request);
    if (fault !== undefined) {
      early.answer(request, response, fault);
      return true;
    }
    const late = isLate();
    const hasRoom = !late && inFlight.count() < limits.inFlightMax;
    if (hasRoom || exempt.has(pathOf(request.url))) return false;
    refuse(request, response, late ? 'loop' : 'in_flight');
    return true;
  }

  return {
    wrap:
      (app) => (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
        if (isRefused(request, response)) return;
        app(request, response);
        // A response that was decided within the call (end-batch.ts) waits for nothing and is not
        // in flight.
        if (response.writableEnded || response.headersSent) return;
        inFlight.track(request, response);
      },
    isWaiting: (socket) => inFlight.countOf(socket) > 0,
    state: () => ({ inFlight: inFlight.count(), shed }),
  };
}

function pathOf(url = '/'): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
