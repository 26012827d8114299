import compression from 'compression';
import express, { type Express, type RequestHandler } from 'express';
import type { Config } from '../../kernel/config/config';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { NO_TRACING, type Tracing } from '../telemetry/tracing';
import { accessRecorder } from './access';
import { requestContext } from './context';
import { type CorsOrigins, corsFor } from './cors';
import { docsPage } from './docs/page';
import { tryPage } from './docs/try-page';
import type { GuardsOf, Route } from './endpoint';
import type { Extensions } from './extension';
import { type HealthSources, mountHealth } from './health';
import type { Idempotency } from './idempotency';
import { mountRoutes } from './mount';
import { createOpenApi } from './openapi/document';
import { notFoundHandler, problemHandler } from './problem';
import { installPendingHeaders } from './response-head';
import { securityHeaders } from './security-headers';
import { traceRequests } from './trace-requests';
import type { Traffic } from './traffic';

export interface AppDependencies {
  readonly settings: Config['server'];
  readonly cors: CorsOrigins;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly traffic: Pick<Traffic, 'count'>;
  readonly health: HealthSources;
  /** The general rate limit. Routes with a stricter one add it themselves. */
  readonly limiter: RequestHandler;
  readonly guardsOf: GuardsOf;
  readonly extensions: Extensions;
  readonly idempotency: Idempotency;
  readonly routes: readonly Route[];
  /** HTML pages besides the documentation. */
  readonly pages: readonly RequestHandler[];
}

/** Smaller responses fit into one packet uncompressed. */
const COMPRESS_FROM_BYTES = 1024;

/** Middleware runs from top to bottom. */
export function createApp(deps: AppDependencies): Express {
  const { settings, cors, log, metrics, tracing = NO_TRACING, traffic, extensions, routes } = deps;
  const app = express();
  app
    .disable('x-powered-by')
    .disable('etag')
    .enable('case sensitive routing')
    .set('trust proxy', settings.trustProxy)
    .set('query parser', 'simple');

  installPendingHeaders(app);

  app.use(requestContext(settings));
  if (tracing.isOn) app.use(traceRequests(tracing, extensions.hasSecretPath));
  app.use(accessRecorder({ log, metrics, accessLog: settings.accessLog, traffic }));
  app.use(securityHeaders());
  mountHealth(app, deps.health);
  if (cors.plain.length + cors.withCookies.length > 0)
    app.use(corsFor(cors, Object.keys(extensions.requestHeaders)));
  app.use(deps.limiter);

  const compress = compression({ threshold: COMPRESS_FROM_BYTES });
  mountRoutes(app, routes, {
    guardsOf: deps.guardsOf,
    idempotency: deps.idempotency,
    bodyLimitBytes: settings.bodyLimitBytes,
    compress,
    compressFromBytes: COMPRESS_FROM_BYTES,
  });
  for (const page of deps.pages) app.use(page);
  app.use(['/docs', '/openapi.json'], compress);
  mountDocs(app, deps);

  app.use(notFoundHandler());
  app.use(problemHandler(log));
  return app;
}

/** The OpenAPI document of the routes, and the pages that show it. */
function mountDocs(app: Express, { settings, extensions, routes }: AppDependencies): void {
  const { publicUrl, environment, docsTry, assetBaseUrl } = settings;
  const openApi = createOpenApi(routes, { serverUrl: publicUrl, environment, extensions });
  const isTried = docsTry === 'on' || (docsTry === 'auto' && environment !== 'production');
  if (isTried) app.use(tryPage());
  app.use(docsPage(openApi, { assetBaseUrl, isTried }));
}
