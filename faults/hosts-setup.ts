import {
  type BalancerChoice,
  type HostsOptions,
  startHosts,
  type TestHosts,
} from '../tests/support/hosts';
import { findTool } from '../tests/support/tools';
import type { PlannedRequest, RequestRecord } from './load';
import type { RemoteLoad } from './remote';
import { SkipScenario } from './scenario';
import { quantile } from './summary';
import { readsAndWrites, USERS_PASSWORD } from './users';

export interface Stage extends TestHosts {
  /** Reads and writes of a few users in turn: three reads to one write. */
  readonly mix: readonly PlannedRequest[];
  startLoad(options?: {
    failover?: boolean;
    ratePerSecond?: number;
    timeoutMs?: number;
  }): Promise<RemoteLoad>;
}

const USERS = 8;
const RATE_PER_SECOND = 160;
/** The quick forms share the machine with other tests: they test the claim, not its capacity. */
const QUICK_RATE_PER_SECOND = 60;

/**
 * The limit of a time in a scenario. The quick form runs on machines of unknown speed beside other
 * tests: it allows as long as the hosts of this very run took to start, where that is more.
 */
export const limitMs = (goalMs: number, quick: boolean, { startMs }: TestHosts): number =>
  quick ? Math.max(goalMs, 2 * startMs) : goalMs;

/**
 * Creates hosts, balancers, users and their tokens for `use`, and always removes them afterwards.
 */
export async function withStage<T>(
  { quick, ...options }: HostsOptions & { readonly quick: boolean },
  use: (stage: Stage) => Promise<T>,
): Promise<T> {
  const missing = ['redis-server', ...options.balancers.map(({ kind }) => kind)].filter(
    (tool) => findTool(tool) === undefined,
  );
  if (missing.length > 0) throw new SkipScenario(`${missing.join(', ')} not installed`);
  const hosts = await startHosts(options);
  try {
    const mix = await createMix(hosts);
    return await use({
      ...hosts,
      mix,
      startLoad: (load = {}) =>
        hosts.client.startLoad({
          targets: hosts.balancers.map(({ url }) => url),
          ratePerSecond: quick ? QUICK_RATE_PER_SECOND : RATE_PER_SECOND,
          connections: 100,
          timeoutMs: 8000,
          mix,
          ...load,
        }),
    });
  } finally {
    await hosts.close();
  }
}

async function createMix({ client, balancers }: TestHosts): Promise<PlannedRequest[]> {
  const url = balancers[0]?.url ?? '';
  const users = await Promise.all(
    Array.from({ length: USERS }, async (_, n) => {
      const body = JSON.stringify({
        name: `User ${n}`,
        email: `user${n}@example.com`,
        password: USERS_PASSWORD,
      });
      const answer = await client.request(`${url}/api/auth/register`, { method: 'POST', body });
      if (answer.status !== 201)
        throw new Error(`register answered ${answer.status}: ${answer.body}`);
      return JSON.parse(answer.body) as { access_token: string };
    }),
  );
  return readsAndWrites(users);
}

/**
 * The client's view. Only 200 counts as success: a 401 or 404 during a fault is as wrong as no
 * response.
 */
export function figuresOf(records: readonly RequestRecord[]) {
  const failed = (tag: string) =>
    records.filter((record) => record.tag === tag && record.status !== 200);
  const reads = records.filter((record) => record.tag === 'read' && record.status === 200);
  const latencies = reads
    .map((record) => (record.answeredMs ?? 0) - record.plannedMs)
    .sort((a, b) => a - b);
  return {
    requests: records.length,
    failedReads: failed('read').length,
    failedWrites: failed('write').length,
    readMaxMs: quantile(latencies, 1),
    readP99Ms: quantile(latencies, 0.99),
    outcomes: outcomes(records.filter((record) => record.status !== 200)),
  };
}

function outcomes(records: readonly RequestRecord[]): string {
  const counts = new Map<string, number>();
  for (const { tag, status, error, code } of records) {
    const what = [tag, status ?? error, code].filter(Boolean).join(' ');
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return counts.size === 0
    ? 'none'
    : [...counts].map(([what, count]) => `${count} × ${what}`).join('; ');
}

/**
 * The number of writes that were due and unanswered during a kill, which it may fail. The interval
 * runs from the request of the kill to its completion; on a busy machine these differ.
 */
export function writesInFlight(
  records: readonly RequestRecord[],
  orderedMs: number,
  doneMs = orderedMs,
): number {
  const open = (record: RequestRecord) =>
    record.answeredMs === undefined || record.answeredMs >= orderedMs;
  return records.filter(
    (record) => record.tag === 'write' && record.plannedMs <= doneMs && open(record),
  ).length;
}

/**
 * The edge without retries: the planted fault of the scenarios in which a host or worker dies.
 */
export function withoutRetry(text: string): string {
  return text
    .replaceAll(/proxy_next_upstream error[^;]*;/g, 'proxy_next_upstream off;')
    .replaceAll(/error_page 502 (503 )?504 = @\w+;/g, '');
}

export const nginx = (edit?: BalancerChoice['edit']): BalancerChoice => ({
  kind: 'nginx',
  ...(edit === undefined ? {} : { edit }),
});
