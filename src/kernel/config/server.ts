import { z } from 'zod';
import { moduleList } from './modules';
import { faultOfProxies } from './networks';
import { flag, integer, oneOf, optional, setting } from './setting';
import { hostNames, listenHost, origins, webUrl } from './urls';

const workers = z
  .string()
  .trim()
  .regex(/^(auto|\d{1,3})$/, 'must be "auto" or a whole number from 1 to 256')
  .transform((v) => (v === 'auto' ? ('auto' as const) : Number(v)))
  .refine(
    (v) => v === 'auto' || (v >= 1 && v <= 256),
    'must be "auto" or a whole number from 1 to 256',
  );

/**
 * A number of hops, or a list of addresses and networks; `true` would let any client forge its
 * address.
 */
const trustProxy = z
  .string()
  .trim()
  .refine(
    (v) => v.toLowerCase() !== 'true',
    'must not be "true" (any client could forge its address): give the number of proxies or their addresses',
  )
  .transform((v): number | readonly string[] | false => {
    if (v === '' || v === 'false' || v === '0') return false;
    return /^\d+$/.test(v) ? Number(v) : v.split(',').map((part) => part.trim());
  })
  .superRefine((v, context) => {
    const hops = typeof v === 'number' && v > 16 ? 'must be at most 16 hops' : undefined;
    const message = hops ?? (typeof v === 'object' ? faultOfProxies(v) : undefined);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

export const server = {
  environment: setting(
    'NODE_ENV',
    oneOf('development', 'test', 'production'),
    'development',
    'development, test or production; production refuses development defaults.',
  ),
  modules: setting(
    'MODULES',
    moduleList(),
    'auth,users,audit',
    'Modules that this process serves: auth, users, audit.',
  ),
  host: setting(
    'HOST',
    listenHost(),
    '0.0.0.0',
    'Address of this host to listen on, or a name of one.',
  ),
  port: setting('PORT', integer(0, 65535), '3000', 'TCP port of the API.'),
  opsHost: setting(
    'OPS_HOST',
    listenHost(),
    '127.0.0.1',
    'Address of the ops port (metrics); keep it private.',
  ),
  opsPort: setting(
    'OPS_PORT',
    integer(0, 65535),
    '9464',
    'TCP port of /metrics, summed over all workers; 0 disables it.',
  ),
  opsNames: setting(
    'OPS_NAMES',
    hostNames(),
    '',
    'Names by which browsers may open the ops port, besides OPS_HOST, localhost and IP addresses; comma-separated.',
  ),
  workers: setting(
    'WORKERS',
    workers,
    'auto',
    'Number of worker processes; auto: one per usable core (respects the cgroup CPU quota).',
  ),
  publicUrl: setting(
    'PUBLIC_URL',
    optional(webUrl()),
    undefined,
    'Base URL that clients use; it appears in links and metadata and is the default token issuer. Required in production: https:// there, or http:// for this host only.',
  ),
  trustProxy: setting(
    'TRUST_PROXY',
    trustProxy,
    '0',
    'Trusted proxies in front: their number, or a comma-separated list of addresses; never "true".',
  ),
  corsOrigins: setting(
    'CORS_ORIGINS',
    origins(),
    '',
    'Comma-separated origins that CORS allows; empty allows none.',
  ),
  bodyLimitBytes: setting(
    'BODY_LIMIT_BYTES',
    integer(1024, 10_485_760),
    '32768',
    'Largest request body, in bytes.',
  ),
  requestTimeoutMs: setting(
    'REQUEST_TIMEOUT_MS',
    integer(100, 300_000),
    '10000',
    'Longest time to receive one whole request, in ms.',
  ),
  headersTimeoutMs: setting(
    'HEADERS_TIMEOUT_MS',
    integer(100, 300_000),
    '8000',
    "Longest time to receive a request's headers, in ms.",
  ),
  socketTimeoutMs: setting(
    'SOCKET_TIMEOUT_MS',
    integer(100, 600_000),
    '30000',
    'Longest time without a byte in either direction while a request is in progress (for example a client that does not read), in ms.',
  ),
  maxHeaderBytes: setting(
    'MAX_HEADER_BYTES',
    integer(1024, 1_048_576),
    '16384',
    "Largest size of all a request's headers, in bytes.",
  ),
  maxConnections: setting(
    'MAX_CONNECTIONS',
    integer(10, 1_000_000),
    '10000',
    'Maximum number of open connections per worker; further connections are closed at once.',
  ),
  keepAliveTimeoutMs: setting(
    'KEEP_ALIVE_TIMEOUT_MS',
    integer(0, 600_000),
    '65000',
    "Idle time before a kept-alive connection is closed, in ms; must exceed the load balancer's.",
  ),
  drainTimeoutMs: setting(
    'DRAIN_TIMEOUT_MS',
    integer(100, 300_000),
    '8000',
    'Longest time for requests in flight to finish at shutdown, in ms.',
  ),
  drainIdleMs: setting(
    'DRAIN_IDLE_MS',
    integer(0, 60_000),
    '1000',
    'How long a draining worker keeps idle connections open for one last request, in ms.',
  ),
  shutdownDelayMs: setting(
    'SHUTDOWN_DELAY_MS',
    integer(0, 120_000),
    '0',
    'Time between readiness turning false and the listener closing, for load balancers that poll readiness, in ms.',
  ),
  shutdownDeadlineMs: setting(
    'SHUTDOWN_DEADLINE_MS',
    integer(500, 600_000),
    '10000',
    'Longest time for the shutdown after SHUTDOWN_DELAY_MS, in ms; the process manager must wait for the sum.',
  ),
  logLevel: setting(
    'LOG_LEVEL',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'Lowest log level that is written.',
  ),
  assetBaseUrl: setting(
    'ASSET_BASE_URL',
    webUrl({ query: false, empty: true }).transform((base) => base.replace(/\/+$/, '')),
    '',
    "Base URL of a CDN that serves this service's static assets; empty serves them here.",
  ),
  docsTry: setting(
    'DOCS_TRY',
    oneOf('auto', 'on', 'off'),
    'auto',
    'The page /docs/try (Swagger UI), which calls this service; auto: on except in production.',
  ),
  adminPage: setting(
    'ADMIN_PAGE',
    oneOf('auto', 'on', 'off'),
    'auto',
    'The page /admin for administrators; auto: on except in production.',
  ),
  accessLog: setting('ACCESS_LOG', flag(), 'true', 'One log line per request.'),
} as const;
