import type { Express } from 'express';
import type { Config } from '../kernel/config/config';
import { createLifecycle } from '../kernel/lifecycle';
import { VERSION } from '../kernel/version';
import { corsOriginsOf } from '../platform/http/cors';
import { createEarlyAnswers } from '../platform/http/early-answers';
import { messageConstructors } from '../platform/http/fast-prototypes';
import { HEALTH_PATHS } from '../platform/http/health';
import { type ApiServer, createServer } from '../platform/http/server';
import { createAdmission } from '../platform/shedding/admission';
import type { Logger } from '../platform/telemetry/logger';
import { createMetrics, type Metrics } from '../platform/telemetry/metrics';
import { exposeProcess } from '../platform/telemetry/process-metrics';
import type { Tracing } from '../platform/telemetry/tracing';
import { exposeTracing } from '../platform/telemetry/tracing-metrics';
import type { Member } from '../runtime/worker/member';
import { lowerPoolPriority } from '../runtime/worker/pool-priority';
import { createService } from './service';

export interface WorkerOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly member: Member;
  readonly tracing: Tracing;
  readonly databaseUri: string;
}

/** Runs one worker from its start to the end of its drain. Resolves with the exit code. */
export async function runWorker(options: WorkerOptions): Promise<number> {
  const { config, log, member, tracing, databaseUri } = options;
  const poolThreads = await lowerPoolPriority(config.auth.hashNiceness);
  log.debug(
    { poolThreads, niceness: config.auth.hashNiceness },
    'priority of hashing threads lowered',
  );
  const lifecycle = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
  member.onDrain(lifecycle.close);
  // First, so that it closes last, with the spans of the others.
  lifecycle.own('tracing', tracing);
  const metrics = createMetrics();
  exposeTracing(tracing, metrics);
  exposeProcess(metrics, VERSION);
  // The app needs the state of the server, and the server needs the app: set below.
  let leaving = () => false;
  const { app } = await createService({
    config,
    log,
    metrics,
    tracing,
    lifecycle,
    databaseUri,
    databaseEngine: member.engine ?? 'mongodb',
    worker: member.id,
    instance: member.instance,
    workers: member.workers,
    draining: () => leaving(),
  });
  const server = createAdmittingServer(app, options, metrics);
  leaving = () => server.leaving;
  lifecycle.own('metrics', await member.exposeMetrics(metrics));
  lifecycle.own('server', server);
  await member.listen(server);
  member.ready();
  return member.done;
}

/** The HTTP server, with admission in front of the app. */
function createAdmittingServer(
  app: Express,
  { config, log }: WorkerOptions,
  metrics: Metrics,
): ApiServer {
  const early = createEarlyAnswers({
    cors: corsOriginsOf(config),
    metrics,
    ...(config.server.accessLog && { log }),
  });
  const admission = createAdmission({
    limits: config.limits,
    exempt: HEALTH_PATHS,
    metrics,
    early,
  });
  return createServer(
    admission.wrap(app),
    config.server,
    messageConstructors(app),
    early,
    admission.isWaiting,
  );
}
