import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Counter, Gauge } from 'prom-client';
import type { Config } from '../../kernel/config/config';
import { type Problem, problems } from '../../kernel/errors';
import type { Metrics } from '../telemetry/metrics';
import { createEarlyAnswers, type EarlyAnswers, hostInvalid, hostMissing } from './early-answers';

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

/**
 * Consecutive turns over the budget are overload after this time. Shorter ones come from a cold
 * start or a garbage collection.
 */
const OVERLOAD_AFTER_MS = 300;
/**
 * The same in the first seconds of the process, while V8 compiles its code and other workers may
 * start.
 */
const OVERLOAD_AFTER_MS_AT_START = 1000;
const START_MS = 10_000;
/** The first requests of a turn are always served: they are some ms of work. */
const ALWAYS_SERVED_PER_TURN = 8;

export function createAdmission(options: AdmissionOptions): Admission {
  const {
    limits,
    exempt,
    metrics,
    early = createEarlyAnswers(),
    now = () => performance.now(),
  } = options;
  let inFlight = 0;
  let shed = 0;
  let longSinceMs: number | undefined;
  let turnStartedMs: number | undefined;
  let firstTurnMs: number | undefined;
  let inTurn = 0;

  function isLate(): boolean {
    if (turnStartedMs === undefined) {
      turnStartedMs = now();
      firstTurnMs ??= turnStartedMs;
      inTurn = 1;
      setImmediate(endTurn);
      return false;
    }
    if (++inTurn <= ALWAYS_SERVED_PER_TURN) return false;
    const overloadAfterMs =
      turnStartedMs - (firstTurnMs ?? turnStartedMs) < START_MS
        ? OVERLOAD_AFTER_MS_AT_START
        : OVERLOAD_AFTER_MS;
    if (longSinceMs === undefined || turnStartedMs - longSinceMs < overloadAfterMs) return false;
    return now() - turnStartedMs > limits.loopBudgetMs;
  }
  const endTurn = () => {
    const isLong = turnStartedMs !== undefined && now() - turnStartedMs > limits.loopBudgetMs;
    // Starts with the end of the first long turn: the requests that waited for that turn are
    // served.
    longSinceMs = isLong ? (longSinceMs ?? now()) : undefined;
    turnStartedMs = undefined;
  };
  /** Requests in flight by connection. */
  const inFlightBySocket = new WeakMap<object, { count: number }>();

  /**
   * A pipelined response that is not yet at the front has no socket, and emits no 'close' when the
   * connection closes. So the close of the connection ends every request that is left.
   */
  function trackInFlight({ socket }: IncomingMessage, response: ServerResponse): void {
    let slot = inFlightBySocket.get(socket);
    if (slot === undefined) {
      const opened = { count: 0 };
      slot = opened;
      inFlightBySocket.set(socket, opened);
      socket.once('close', () => {
        inFlight -= opened.count;
        opened.count = 0;
      });
    }
    slot.count++;
    inFlight++;
    response.once('close', () => {
      if (slot.count === 0) return;
      slot.count--;
      inFlight--;
    });
  }

  const count = createCounts(metrics, () => inFlight);

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    reason: 'in_flight' | 'loop',
  ): void {
    shed++;
    count?.inc({ reason });
    early.answer(request, response, overloaded);
  }

  function isRefused(request: IncomingMessage, response: ServerResponse): boolean {
    const fault = faultOfHost(request);
    if (fault !== undefined) {
      early.answer(request, response, fault);
      return true;
    }
    const late = isLate();
    if ((!late && inFlight < limits.inFlightMax) || exempt.has(pathOf(request.url))) return false;
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
        trackInFlight(request, response);
      },
    isWaiting: (socket) => (inFlightBySocket.get(socket)?.count ?? 0) > 0,
    state: () => ({ inFlight, shed }),
  };
}

/** RFC 3986 §3.2.2 and §3.2.3: a name, an address or one in brackets, and a port. */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[\da-f:.v]+\])(?::\d{0,5})?$/i;

function faultOfHost({ headers, rawHeaders, httpVersion }: IncomingMessage): Problem | undefined {
  const { host } = headers;
  if (host === undefined) return httpVersion === '1.1' ? hostMissing() : undefined;
  return HOST.test(host) && isAlone(rawHeaders) ? undefined : hostInvalid();
}

/** Names and values alternate. */
function isAlone(rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') count += 1;
  return count === 1;
}

function pathOf(url = '/'): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function createCounts(metrics: Metrics | undefined, inFlight: () => number) {
  if (metrics === undefined) return undefined;
  new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests in flight, over all workers.',
    registers: [metrics],
    collect() {
      this.set(inFlight());
    },
  });
  const counter = new Counter({
    name: 'http_requests_shed_total',
    help: 'Requests refused because of overload.',
    labelNames: ['reason'],
    registers: [metrics],
  });
  for (const reason of ['in_flight', 'loop']) counter.inc({ reason }, 0);
  return counter;
}
