import { readFileSync } from 'node:fs';

/** Series of a healthy host: `metric|labels` and its values, in promtool's notation. */
type Series = Readonly<Record<string, string>>;

export interface AlertScenario {
  readonly name: string;
  /** Instead of, or beside, those of a healthy host. */
  readonly series: Series;
  /** Alerts that fire at `at`. */
  readonly fires: readonly string[];
  readonly at?: string;
  /** Time between two samples. */
  readonly interval?: string;
  /** Without the series of a healthy host. */
  readonly alone?: boolean;
}

const READ = 'method="GET",route="/api/users/:id",status="200"';
const REQUESTS = `http_request_duration_seconds_count|${READ}`;
const FAILED =
  'http_request_duration_seconds_count|method="GET",route="/api/users/:id",status="500"';
const FAST = `http_request_duration_seconds_bucket|${READ},le="0.25"`;
const HELD = 'method="GET",route="/api/auth/revocations",status="200",waits="true"';
const SHED = 'http_requests_shed_total|reason="loop"';
const COMMANDS = 'mongodb_command_duration_seconds';
const FIND = 'command="find",result="ok"';

const HEALTHY: Series = {
  up: '1x100',
  cluster_workers_ready: '2x100',
  cluster_workers_wanted: '2x100',
  [REQUESTS]: '0+6000x100',
  [FAST]: '0+6000x100',
  [SHED]: '0x100',
  cluster_connections_refused_total: '0x100',
  cluster_worker_deaths_total: '0x100',
  cluster_worker_loop_delay_p99_seconds_max: '0.02x100',
  cluster_worker_heap_bytes_max: '100000000x100',
  process_open_fds: '100x100',
  process_max_fds: '40000x100',
  clock_offset_seconds: '0.01x100',
  'service_build_info|version="1.0.0"': '1x100',
  [`${COMMANDS}_count|${FIND}`]: '0+6000x100',
  [`${COMMANDS}_count|command="find",result="error"`]: '0x100',
  [`${COMMANDS}_bucket|${FIND},le="0.005"`]: '0+6000x100',
  [`${COMMANDS}_bucket|${FIND},le="1"`]: '0+6000x100',
  [`${COMMANDS}_bucket|${FIND},le="+Inf"`]: '0+6000x100',
  mongodb_pool_checkouts_failed_total: '0x100',
  cache_breaker_open: '0x100',
  cache_redis_entries_in_use: '2x100',
  cache_redis_errors_total: '0x100',
  'auth_events_total|type="refresh_token_reused",result="failure"': '0x100',
  'auth_events_total|type="login",result="failure"': '0+6x100',
  'auth_events_total|type="login",result="success"': '0+600x100',
  auth_audit_lost_total: '0x100',
  auth_hash_refused_total: '0x100',
  auth_mails_oldest_seconds: '2x100',
  'auth_mails_dropped_total|kind="invitation",reason="superseded"': '0+1x100',
  'auth_mails_dropped_total|kind="invitation",reason="rejected"': '0x100',
  'auth_background_jobs_total|name="invitation",result="failure"': '0x100',
  'jobs_attempts_total|kind="import",result="lease_lost"': '0x100',
};

/** One series that is not as it should be, and the one alert that fires. */
const single = (alert: string, series: string, values: string): AlertScenario => ({
  name: alert,
  series: { [series]: values },
  fires: [alert],
});
const errorsBurn = ['AuthErrorBudgetBurnFast', 'AuthErrorBudgetBurnSlow'];
const latencyBurns = ['AuthLatencyBudgetBurnFast', 'AuthLatencyBudgetBurnSlow'];

export const alertScenarios: readonly AlertScenario[] = [
  { name: 'a healthy host', series: {}, fires: [], at: '90m' },
  {
    name: 'PM2, no Redis and no traffic: a service without these series',
    series: { up: '1x100', [SHED]: '0x100', cache_redis_entries_in_use: '0x100' },
    fires: [],
    alone: true,
  },
  { name: '5 % of requests fail', series: { [FAILED]: '0+300x100' }, fires: errorsBurn },
  {
    name: 'PM2 has no counter of connections, and 5 % of requests fail',
    series: { [REQUESTS]: '0+6000x100', [FAILED]: '0+300x100', [SHED]: '0x100' },
    fires: errorsBurn,
    alone: true,
  },
  {
    name: 'failing probes are no failing requests',
    series: {
      'http_request_duration_seconds_count|method="GET",route="/readyz",status="503"': '0+3000x100',
    },
    fires: [],
  },
  {
    name: '0.2 % of requests fail for days',
    series: { [REQUESTS]: '0+60000x400', [FAILED]: '0+120x400', [SHED]: '0x400' },
    fires: ['AuthErrorBudgetBurnSlow'],
    at: '66h',
    interval: '10m',
    alone: true,
  },
  {
    name: 'refused requests count as failed',
    series: { [SHED]: '0+300x100' },
    fires: [...errorsBurn, 'AuthOverloaded'],
  },
  { name: 'a quarter of the reads is slow', series: { [FAST]: '0+4500x100' }, fires: latencyBurns },
  {
    name: 'held requests are no slow reads',
    series: {
      [`http_request_duration_seconds_count|${HELD}`]: '0+6000x100',
      [`http_request_duration_seconds_bucket|${HELD},le="0.25"`]: '0x100',
    },
    fires: [],
  },
  single('AuthHostDown', 'up', '0x100'),
  single('AuthWorkersMissing', 'cluster_workers_ready', '1x100'),
  single('AuthWorkersCrash', 'cluster_worker_deaths_total', '0+1x100'),
  single('AuthConnectionsRefused', 'cluster_connections_refused_total', '0+2x100'),
  single('AuthEventLoopLate', 'cluster_worker_loop_delay_p99_seconds_max', '0.4x100'),
  {
    ...single('AuthHeapGrows', 'cluster_worker_heap_bytes_max', '100000000+4000000x100'),
    at: '80m',
  },
  single('AuthFilesRunOut', 'process_open_fds', '39000x100'),
  single('AuthClockWrong', 'clock_offset_seconds', '-8x100'),
  { ...single('AuthVersionsDiffer', 'service_build_info|version="1.1.0"', '1x100'), at: '70m' },
  single('AuthDatabaseFails', `${COMMANDS}_count|command="find",result="error"`, '0+300x100'),
  single('AuthDatabaseSlow', `${COMMANDS}_bucket|${FIND},le="0.005"`, '0+3000x100'),
  single('AuthDatabasePoolExhausted', 'mongodb_pool_checkouts_failed_total', '0+2x100'),
  {
    name: 'workers lose Redis',
    series: { cache_breaker_open: '0x10 2x90', cache_redis_entries_in_use: '2x10 0x90' },
    fires: ['AuthRedisAway', 'AuthRedisUnused'],
  },
  single('AuthCacheRefused', 'cache_redis_errors_total', '0+60x100'),
  single(
    'AuthRefreshTokenReused',
    'auth_events_total|type="refresh_token_reused",result="failure"',
    '0x30 1x70',
  ),
  single('AuthLoginsFail', 'auth_events_total|type="login",result="failure"', '0+900x100'),
  single('AuthAuditLost', 'auth_audit_lost_total', '0x20 3x80'),
  single('AuthHashQueueFull', 'auth_hash_refused_total', '0+30x100'),
  single('AuthMailsLate', 'auth_mails_oldest_seconds', '0+60x100'),
  single(
    'AuthMailsDropped',
    'auth_mails_dropped_total|kind="invitation",reason="rejected"',
    '0x20 2x80',
  ),
  single(
    'AuthBackgroundWorkFails',
    'auth_background_jobs_total|name="invitation",result="failure"',
    '0+1x100',
  ),
  single('AuthJobsLoseLeases', 'jobs_attempts_total|kind="import",result="lease_lost"', '0+1x100'),
];

/** The scenarios as promtool's unit tests, which are JSON as well as YAML. */
export function promtoolTests(
  rulesFile: string,
  scenarios: readonly AlertScenario[],
  evaluationInterval: string,
): string {
  const tests = scenarios.map(
    ({ name, series, fires, at = '40m', interval = '1m', alone = false }) => ({
      name,
      interval,
      input_series: Object.entries(alone ? series : { ...HEALTHY, ...series }).map(
        ([key, values]) => {
          const [metric, labels] = key.split(/\|(.*)/s);
          const all = ['job="auth"', 'instance="a:9464"', ...(labels ? [labels] : [])];
          return { series: `${metric}{${all.join(',')}}`, values };
        },
      ),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: at,
          exp_samples: fires.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
        },
      ],
    }),
  );
  return JSON.stringify({
    rule_files: [rulesFile],
    evaluation_interval: evaluationInterval,
    group_eval_order: groupsOf(rulesFile),
    tests,
  });
}

/**
 * Without their order, promtool evaluates the groups in a random one: an alert before the ratio
 * that it reads finds none of this time, and that of the last time is too old where the interval
 * is longer than five minutes.
 */
const groupsOf = (rulesFile: string): string[] =>
  [...readFileSync(rulesFile, 'utf8').matchAll(/^ {2}- name: (\S+)$/gm)].map(
    ([, name]) => name ?? '',
  );
