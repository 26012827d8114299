import type { Member } from './cluster/member';
import { lowerPoolPriority } from './cluster/pool-priority';
import type { Config } from './config';
import { createAdmission } from './http/admission';
import { messageConstructors } from './http/fast-prototypes';
import { HEALTH_PATHS } from './http/health';
import { createServer } from './http/server';
import { createLifecycle } from './lifecycle';
import type { Logger } from './observability/logger';
import { createMetrics } from './observability/metrics';
import { createService } from './service';

export interface WorkerOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly member: Member;
  readonly databaseUri: string;
}

/** One worker from its start to its drain. Resolves with the exit code. */
export async function runWorker({ config, log, member, databaseUri }: WorkerOptions): Promise<number> {
  const poolThreads = await lowerPoolPriority(config.auth.hashNiceness);
  log.debug({ poolThreads, niceness: config.auth.hashNiceness }, 'the threads that hash are nicer');
  const lifecycle = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
  member.onDrain(lifecycle.close);
  const metrics = createMetrics();
  // The app asks the server whether it is leaving, and the server is made of the app.
  let leaving = () => false;
  const { app } = await createService({
    config,
    log,
    metrics,
    lifecycle,
    databaseUri,
    databaseEngine: member.engine ?? 'mongodb',
    worker: member.id,
    workers: member.workers,
    draining: () => leaving(),
  });
  const admission = createAdmission({ limits: config.limits, exempt: HEALTH_PATHS, metrics });
  const server = createServer(admission.wrap(app), config.server, messageConstructors(app));
  leaving = () => server.leaving;
  lifecycle.own('metrics', await member.exposeMetrics(metrics));
  lifecycle.own('server', server);
  await member.listen(server);
  member.ready();
  return member.done;
}
