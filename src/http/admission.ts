import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Counter, Gauge } from 'prom-client';
import type { Config } from '../config';
import type { Metrics } from '../observability/metrics';

/**
 * Refuses requests that could not be answered in time anyway, before they cost anything. Two signs, each of one worker:
 *
 * - *In flight*: requests that wait for a database or a hash. More than the cap only makes all of them slower.
 * - *The turn*: one turn of the event loop takes up every connection that has a request ready. When turns keep taking
 *   longer than the budget, what comes after the budget within a turn is refused: so the next turn begins soon, and the
 *   loop's delay stays near the budget whatever the load is. (A delay measured by a timer comes one turn too late, and
 *   swings between refusing everything and nothing.) One long turn alone is no overload: something blocked the loop, and
 *   who waited for that is served. Nor is a long turn of a few requests: then this process got little of the processor,
 *   as beside starting workers, and refusing would free nothing.
 */
export interface Admission {
  wrap(app: RequestListener): RequestListener;
  state(): { readonly inFlight: number; readonly shed: number };
}

export interface AdmissionOptions {
  readonly limits: Pick<Config['limits'], 'inFlightMax' | 'loopBudgetMs'>;
  /** Paths that are always answered: health. */
  readonly exempt: ReadonlySet<string>;
  readonly metrics?: Metrics;
  readonly now?: () => number;
}

const BODY = Buffer.from(
  JSON.stringify({
    type: 'about:blank',
    title: 'Service unavailable',
    status: 503,
    detail: 'The service has more to do than it can. Try again after the time in Retry-After.',
    code: 'overloaded',
  }),
);
const HEADERS = {
  'Content-Type': 'application/problem+json',
  'Content-Length': BODY.length,
  'Retry-After': '1',
  'Cache-Control': 'no-store',
} as const;

/** Turns over the budget, one after the other, for so long are overload; shorter is a cold start or a collection of garbage. */
const OVERLOAD_AFTER_MS = 300;
/** The same while this process is young: its code is still being compiled, often beside other workers that start. */
const OVERLOAD_AFTER_MS_YOUNG = 1000;
const YOUNG_MS = 10_000;
/** So many requests of a turn are served however long it takes: some ms of work. */
const SERVED_PER_TURN = 8;

export function createAdmission({ limits, exempt, metrics, now = () => performance.now() }: AdmissionOptions): Admission {
  let inFlight = 0;
  let shed = 0;
  let longSinceMs: number | undefined;
  let turnBeganMs: number | undefined;
  let firstMs: number | undefined;
  let inTurn = 0;

  function isLate(): boolean {
    if (turnBeganMs === undefined) {
      turnBeganMs = now();
      firstMs ??= turnBeganMs;
      inTurn = 1;
      setImmediate(endTurn);
      return false;
    }
    if (++inTurn <= SERVED_PER_TURN) return false;
    const bearableMs = turnBeganMs - (firstMs ?? turnBeganMs) < YOUNG_MS ? OVERLOAD_AFTER_MS_YOUNG : OVERLOAD_AFTER_MS;
    if (longSinceMs === undefined || turnBeganMs - longSinceMs < bearableMs) return false;
    return now() - turnBeganMs > limits.loopBudgetMs;
  }
  const endTurn = () => {
    const isLong = turnBeganMs !== undefined && now() - turnBeganMs > limits.loopBudgetMs;
    // Counted from the second long turn on: however long the first was, what waited for it is served.
    longSinceMs = isLong ? (longSinceMs ?? now()) : undefined;
    turnBeganMs = undefined;
  };
  /** Requests in flight of each connection. */
  const held = new WeakMap<Socket, { count: number }>();

  /**
   * A response that waits its turn on a connection (pipelining) has no socket yet, and never emits 'close' when the
   * connection goes away: what is left then ends with the connection.
   */
  function hold({ socket }: IncomingMessage, response: ServerResponse): void {
    let slot = held.get(socket);
    if (slot === undefined) {
      const opened = { count: 0 };
      slot = opened;
      held.set(socket, opened);
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

  function refuse(response: ServerResponse, reason: 'in_flight' | 'loop'): void {
    shed++;
    count?.inc({ reason });
    response.writeHead(503, HEADERS).end(BODY);
  }

  return {
    wrap: (app) => (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage; isAnswered?: true }) => {
      const late = isLate();
      if ((late || inFlight >= limits.inFlightMax) && !exempt.has(pathOf(request.url))) {
        return refuse(response, late ? 'loop' : 'in_flight');
      }
      app(request, response);
      // What was answered within the call was never in flight: the fast path costs one comparison.
      if (response.writableEnded || response.isAnswered === true) return;
      hold(request, response);
    },
    state: () => ({ inFlight, shed }),
  };
}

function pathOf(url = '/'): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function createCounts(metrics: Metrics | undefined, inFlight: () => number) {
  if (metrics === undefined) return undefined;
  new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests that wait for something, over all workers.',
    registers: [metrics],
    collect() {
      this.set(inFlight());
    },
  });
  return new Counter({
    name: 'http_requests_shed_total',
    help: 'Requests refused because of overload.',
    labelNames: ['reason'],
    registers: [metrics],
  });
}
