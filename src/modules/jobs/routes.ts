import type { Request } from 'express';
import { problems } from '../../kernel/errors';
import { clientOf } from '../../platform/http/client-info';
import { type MayStill, type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import { NO_STORE } from '../../platform/http/no-store';
import { isFinal, type Job } from '../../platform/jobs/job';
import type { ActorCause } from '../domain-events';
import { jobEndpoints, viewOfJob } from './contract';
import type { createProgressEvents } from './progress-events';
import type { JobService } from './service';

export interface JobRoutesDependencies {
  readonly service: JobService;
  readonly events: ReturnType<typeof createProgressEvents>;
  readonly mayStill: MayStill;
  readonly requesterOf: (req: Request) => { readonly userId: string; readonly isService: boolean };
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
}

export function createJobRoutes(deps: JobRoutesDependencies): Route[] {
  const { service, events, requesterOf } = deps;
  const causeOf = (req: Request): ActorCause => ({
    actor: requesterOf(req).userId,
    client: clientOf(req),
  });

  /** A service account has no login that could be recent: it reads what it has sent itself. */
  async function assertMayReadReport(req: Request, { actor }: Job): Promise<void> {
    const { userId, isService } = requesterOf(req);
    if (!isService) await deps.assertRecentLogin(req);
    else if (actor !== userId) throw reportOfAnother();
  }

  return [
    route(jobEndpoints.get, async ({ params }) => {
      return { status: 200, headers: NO_STORE, body: viewOfJob(await service.find(params.id)) };
    }),
    route(jobEndpoints.cancel, async ({ params }, req) => {
      const job = await service.cancel(params.id, causeOf(req));
      return { status: 202, headers: NO_STORE, body: viewOfJob(job) };
    }),
    route(jobEndpoints.events, async ({ params }, req) => {
      const job = await service.find(params.id);
      const header = req.headers['last-event-id'];
      const seen = typeof header === 'string' ? header : undefined;
      // Anything else, and an EventSource would connect again and again.
      if (isFinal(job) && seen === String(job.revision)) return { status: 204, headers: NO_STORE };
      const isAllowed = () => deps.mayStill(req, 'users:import');
      return {
        status: 200,
        headers: EVENT_STREAM_HEADERS,
        stream: (closed) => events(job, { seen, isAllowed, closed }),
      };
    }),
    route(jobEndpoints.report, async ({ params }, req) => {
      const job = await service.find(params.id);
      await assertMayReadReport(req, job);
      const headers = { ...NO_STORE, 'Content-Type': 'application/x-ndjson' };
      return { status: 200, headers, stream: service.report(job.id, causeOf(req)) };
    }),
  ];
}

const reportOfAnother = () =>
  problems.forbidden('A service account reads the reports of its own jobs alone.');
