import type { Express, RequestHandler } from 'express';
import { sharedAnswer } from '../../kernel/shared-answer';
import type { CacheState } from '../cache/port';
import type { ClockState } from '../mongo/clock-watch';

export interface HealthSources {
  /** Whether this worker has begun to drain. */
  draining(): boolean;
  databaseUp(): Promise<boolean>;
  cache(): CacheState;
  clock(): ClockState;
  /** Ready workers of this host. */
  workers(): number;
  /** The database engine: `mongodb`, or the name of the embedded one. */
  readonly databaseEngine: string;
  readonly worker: number;
  /** Tells which primary has forked the worker; undefined: none has. */
  readonly instance: string | undefined;
  /** Names of the modules that this process serves. */
  readonly modules: readonly string[];
}

/** These routes have no rate limit: a worker pings the database at most once per interval. */
const PING_SHARED_MS = 500;

/** Never refused because of load. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health']);

/**
 * `/livez`: the event loop runs. `/readyz`: the worker accepts traffic. `/health`: details for
 * operators. Without Redis the service is degraded but ready: slower, and still correct. The same
 * holds for a wrong clock of the host: the service uses the database's time.
 */
export function mountHealth(app: Express, sources: HealthSources): void {
  const databaseUp = sharedAnswer(sources.databaseUp, PING_SHARED_MS);
  const state = async () => {
    const database = await databaseUp();
    const cache = sources.cache();
    const ready = database && !sources.draining();
    const clock = sources.clock();
    const degraded = [cache, clock].some((part) => part.status === 'degraded');
    const status = !ready ? 'unavailable' : degraded ? 'degraded' : 'ok';
    return { ready, status, database, cache, clock };
  };

  get(app, '/livez', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });
  get(app, '/readyz', async (_req, res) => {
    const { ready, status } = await state();
    if (!ready) res.set('Retry-After', '1');
    res
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({ status, draining: sources.draining() });
  });
  get(app, '/health', async (_req, res) => {
    const { ready, status, database, cache, clock } = await state();
    res
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({
        status,
        workers: sources.workers(),
        worker: sources.worker,
        instance: sources.instance,
        modules: sources.modules,
        database: { status: database ? 'up' : 'down', engine: sources.databaseEngine },
        cache,
        clock,
        uptime_seconds: Math.round(process.uptime()),
      });
  });
}

function get(app: Express, path: string, handler: RequestHandler): void {
  app.get(
    path,
    (req, _res, next) => {
      req.context.routePattern = path;
      next();
    },
    handler,
  );
}
