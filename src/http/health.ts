import type { Express, RequestHandler } from 'express';
import type { CacheState } from '../cache/port';

export interface HealthSources {
  /** Whether this worker has begun to drain. */
  draining(): boolean;
  databaseUp(): Promise<boolean>;
  cache(): CacheState;
  /** Ready workers of this host. */
  workers(): number;
  /** Which database engine answers: `mongodb`, or the embedded one by name. */
  readonly databaseEngine: string;
  readonly worker: number;
}

/** Answered whatever the load is. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health']);

/**
 * `/livez`: this process turns its event loop. `/readyz`: send me traffic. `/health`: for people. Redis away is
 * degraded and still ready: the service is slower then, not wrong.
 */
export function mountHealth(app: Express, sources: HealthSources): void {
  const state = async () => {
    const database = await sources.databaseUp();
    const cache = sources.cache();
    const ready = database && !sources.draining();
    const status = !ready ? 'unavailable' : cache.status === 'degraded' ? 'degraded' : 'ok';
    return { ready, status, database, cache };
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
    const { ready, status, database, cache } = await state();
    res
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json({
        status,
        workers: sources.workers(),
        worker: sources.worker,
        database: { status: database ? 'up' : 'down', engine: sources.databaseEngine },
        cache,
        uptime_seconds: Math.round(process.uptime()),
      });
  });
}

function get(app: Express, path: string, handler: RequestHandler): void {
  app.get(
    path,
    (req, _res, next) => {
      req.routePattern = path;
      next();
    },
    handler,
  );
}
