import type { Request, RequestHandler, Response } from 'express';
import { Counter } from 'prom-client';
import { DurationHistogram, type DurationSeries } from '../observability/duration-histogram';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';

/** One log line and one observation per request, when its answer is out or its connection gone. */
export function accessRecorder(options: { log: Logger; metrics: Metrics; accessLog: boolean }): RequestHandler {
  const { metrics, accessLog } = options;
  // Our own fields, none of them a secret: looking for secrets in them would cost 60 µs of each request's 30.
  const log = options.log.child({}, { redact: [] });
  const duration = new DurationHistogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    metrics,
  });
  const seriesOf = createSeriesLookup(duration);
  const aborted = new Counter({
    name: 'http_requests_aborted_total',
    help: 'Requests whose client went away before the answer was out.',
    registers: [metrics],
  });

  function record(req: Request, res: Response): void {
    const ms = performance.now() - req.startedAt;
    const route = req.routePattern ?? 'none';
    if (!res.writableFinished) aborted.inc();
    seriesOf(route, req.method, res.statusCode).observe(ms / 1000);
    if (!accessLog) return;
    log.info(
      {
        request_id: req.id,
        method: req.method,
        route,
        status: res.statusCode,
        duration_ms: Math.round(ms * 1000) / 1000,
        client: req.clientAddress,
        ...(req.principal === undefined ? {} : { user_id: req.principal.userId }),
        ...(req.traceId === undefined ? {} : { trace_id: req.traceId }),
        ...(res.writableFinished ? {} : { aborted: true }),
      },
      'request',
    );
  }

  // One function for all: a response emits 'close' once, and knows its request.
  function onClose(this: Response): void {
    record(this.req, this);
  }

  return (_req, res, next) => {
    res.on('close', onClose);
    next();
  };
}

/** Routes, methods (Node's parser knows a few dozen) and statuses are bounded sets, so the tables are too. */
function createSeriesLookup(duration: DurationHistogram<'method' | 'route' | 'status'>) {
  const routes = new Map<string, Map<string, Map<number, DurationSeries>>>();
  return (route: string, method: string, status: number): DurationSeries => {
    const methods = entry(routes, route, () => new Map<string, Map<number, DurationSeries>>());
    const statuses = entry(methods, method, () => new Map<number, DurationSeries>());
    return entry(statuses, status, () => duration.series({ method, route, status }));
  };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
