import type { Request, RequestHandler, Response } from 'express';
import { Counter, Histogram } from 'prom-client';
import { traceFieldsOf } from '../telemetry/active-span';
import { type Logger, unredacted } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import type { RequestContext } from './context';
import { closeWithConnection } from './pipelined';
import type { Traffic } from './traffic';

/**
 * Writes one log line and one observation per request, when its response has ended or its
 * connection has closed.
 */
export function accessRecorder(options: {
  log: Logger;
  metrics: Metrics;
  accessLog: boolean;
  traffic: Pick<Traffic, 'count'>;
}): RequestHandler {
  const { log, metrics, accessLog, traffic } = options;
  const requestLog = unredacted(log);
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the start of a request to the end of its response.',
    // The last one only where it is true: see Endpoint.waits.
    labelNames: ['method', 'route', 'status', 'waits'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [metrics],
  });
  const aborted = new Counter({
    name: 'http_requests_aborted_total',
    help: 'Requests whose client disconnected before the response ended.',
    registers: [metrics],
  });

  function record(req: Request, res: Response): void {
    const { context, method } = req;
    const ms = performance.now() - context.startedAt;
    const route = context.routePattern ?? 'none';
    const status = res.statusCode;
    traffic.count();
    const waits = context.work?.finish();
    const isAborted = !res.writableFinished;
    if (isAborted) aborted.inc();
    duration.observe(labelsOf(context, { method, route, status }), ms / 1000);
    if (!accessLog) return;
    const { id, correlationId, principal, clientAddress } = context;
    requestLog.info(
      {
        request_id: correlationId,
        method,
        route,
        status,
        duration_ms: Math.round(ms * 1000) / 1000,
        ...waits,
        client: clientAddress,
        ...(correlationId === id ? undefined : { instance: id }),
        ...(principal === undefined ? undefined : { user_id: principal.id }),
        ...(principal?.impersonator === undefined
          ? undefined
          : { actor_id: principal.impersonator }),
        ...(context.traceId === undefined ? undefined : traceOf(context)),
        ...(isAborted ? { aborted: true } : undefined),
      },
      'request',
    );
  }

  // One listener function for all responses: no closure per request.
  function onClose(this: Response): void {
    record(this.req, this);
  }

  return (req, res, next) => {
    res.on('close', onClose);
    closeWithConnection(req, res);
    next();
  };
}

const labelsOf = <T extends object>({ waits }: RequestContext, labels: T) =>
  waits === true ? { ...labels, waits: 'true' } : labels;

const traceOf = ({ traceId, span }: RequestContext) =>
  span === undefined ? { trace_id: traceId } : traceFieldsOf(span);
