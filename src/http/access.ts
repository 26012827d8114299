import type { Request, Response } from 'express';
import { Counter } from 'prom-client';
import { DurationHistogram, type DurationSeries } from '../observability/duration-histogram';
import { createLineWriter, quoted } from '../observability/line-writer';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';
import type { Step } from './steps';

/** One log line and one observation per request, when its answer is out or its connection gone. */
export function accessRecorder(options: { log: Logger; metrics: Metrics; accessLog: boolean }): Step {
  const { log, metrics, accessLog } = options;
  const writeLine = createLineWriter(log, 'request');
  const duration = new DurationHistogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    metrics,
  });
  const kindOf = createKinds(duration);
  const aborted = new Counter({
    name: 'http_requests_aborted_total',
    help: 'Requests whose client went away before the answer was out.',
    registers: [metrics],
  });

  function record(req: Request, res: Response): void {
    const ms = performance.now() - req.startedAt;
    const route = req.routePattern ?? 'none';
    if (!res.writableFinished) aborted.inc();
    const { series, fields } = kindOf(route, req.method, res.statusCode);
    series.observe(ms / 1000);
    if (accessLog) writeLine(`,"request_id":"${req.id}"${fields}${Math.round(ms * 1000) / 1000}${clientFields(req, res)}`);
  }

  // One function for all: a response emits 'close' once, and knows its request.
  function onClose(this: Response): void {
    record(this.req, this);
  }

  return (_req, res) => {
    res.on('close', onClose);
  };
}

/** What all requests have in common that go to one route by one method and end in one status. */
interface Kind {
  readonly series: DurationSeries;
  /** Of the log line, up to the duration. */
  readonly fields: string;
}

/** Routes, methods (Node's parser knows a few dozen) and statuses are bounded sets, so the tables are too. */
function createKinds(duration: DurationHistogram<'method' | 'route' | 'status'>) {
  const routes = new Map<string, Map<string, Map<number, Kind>>>();
  return (route: string, method: string, status: number): Kind => {
    const methods = entry(routes, route, () => new Map<string, Map<number, Kind>>());
    const statuses = entry(methods, method, () => new Map<number, Kind>());
    return entry(statuses, status, () => ({
      series: duration.series({ method, route, status }),
      fields: `,"method":${quoted(method)},"route":${quoted(route)},"status":${status},"duration_ms":`,
    }));
  };
}

/** None of it is a secret: looking for secrets there, as the log does elsewhere, would cost 60 µs of each request's 30. */
function clientFields(req: Request, res: Response): string {
  const user = req.principal === undefined ? '' : `,"user_id":${quoted(req.principal.userId)}`;
  const trace = req.traceId === undefined ? '' : `,"trace_id":${quoted(req.traceId)}`;
  return `,"client":${quoted(req.clientAddress)}${user}${trace}${res.writableFinished ? '' : ',"aborted":true'}`;
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
