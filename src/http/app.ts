import compression from 'compression';
import cors from 'cors';
import express, { type Express, type RequestHandler } from 'express';
import type { Config } from '../config';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';
import { accessRecorder } from './access';
import { requestContext } from './context';
import { docsPage } from './docs-page';
import type { Route } from './endpoint';
import { installHeaderBlock } from './header-block';
import { type HealthSources, mountHealth } from './health';
import type { Idempotency } from './idempotency';
import { mountRoutes } from './mount';
import { createOpenApi } from './openapi';
import { notFoundHandler, problemHandler } from './problem';
import { securityHeaders } from './security-headers';
import { inOneLayer } from './steps';
import { answerEveryTarget } from './target';

export interface AppDependencies {
  readonly settings: Config['server'];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthSources;
  /** The general limit; routes with a stricter one bring it themselves. */
  readonly limiter: RequestHandler;
  readonly authenticate: RequestHandler;
  readonly idempotency: Idempotency;
  readonly routes: readonly Route[];
}

/** A smaller answer fits into one packet as it is. */
const COMPRESS_FROM_BYTES = 1024;

/** The way of a request, top to bottom. */
export function createApp({ settings, log, metrics, health, limiter, authenticate, idempotency, routes }: AppDependencies): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('trust proxy', settings.trustProxy).set('query parser', 'simple');

  answerEveryTarget(app);
  installHeaderBlock(app);

  app.use(inOneLayer(requestContext(settings), accessRecorder({ log, metrics, accessLog: settings.accessLog }), securityHeaders()));
  mountHealth(app, health);
  if (settings.corsOrigins.length > 0) app.use(corsFor(settings.corsOrigins));
  app.use(limiter);

  const compress = compression({ threshold: COMPRESS_FROM_BYTES });
  mountRoutes(app, routes, {
    authenticate,
    idempotency,
    bodyLimitBytes: settings.bodyLimitBytes,
    compress,
    compressFromBytes: COMPRESS_FROM_BYTES,
  });
  const openApi = createOpenApi(routes, { serverUrl: settings.publicUrl });
  app.use(['/docs', '/openapi.json'], compress);
  app.use(docsPage(openApi, { assetBaseUrl: settings.assetBaseUrl }));

  app.use(notFoundHandler());
  app.use(problemHandler(log));
  return app;
}

/** What a browser of another origin may see; credentials are bearer tokens, so cookies stay out of it. */
function corsFor(origins: readonly string[]): RequestHandler {
  return cors({
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'If-Match', 'If-None-Match', 'Idempotency-Key', 'X-Request-Id', 'traceparent'],
    exposedHeaders: ['ETag', 'Idempotent-Replayed', 'Link', 'Location', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'],
    maxAge: 600,
  });
}
