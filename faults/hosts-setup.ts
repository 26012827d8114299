import { type BalancerChoice, type HostsOptions, startHosts, type TestHosts } from '../tests/support/hosts';
import { findTool } from '../tests/support/tools';
import type { PlannedRequest, RequestRecord } from './load';
import type { RemoteLoad } from './remote';
import { SkipScenario } from './scenario';
import { quantile } from './summary';

export interface Stage extends TestHosts {
  /** Reads and writes of a few users in turn: three reads to one write. */
  readonly mix: readonly PlannedRequest[];
  startLoad(options?: { failover?: boolean; ratePerSecond?: number; timeoutMs?: number }): Promise<RemoteLoad>;
}

const USERS = 8;
const RATE_PER_SECOND = 160;

/** Hosts, balancers, users and their tokens for the time of `use`; everything is gone afterwards, whatever happened. */
export async function withStage<T>(options: HostsOptions, use: (stage: Stage) => Promise<T>): Promise<T> {
  const missing = ['redis-server', ...options.balancers.map(({ kind }) => kind)].filter((tool) => findTool(tool) === undefined);
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
          ratePerSecond: RATE_PER_SECOND,
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
      const body = JSON.stringify({ name: `User ${n}`, email: `user${n}@example.com`, password: 'a long enough password' });
      const answer = await client.request(`${url}/api/auth/register`, { method: 'POST', body });
      if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.body}`);
      return JSON.parse(answer.body) as { access_token: string };
    }),
  );
  return users.flatMap(({ access_token }) => {
    const headers = { authorization: `Bearer ${access_token}` };
    const read = { method: 'GET', path: '/api/users/me', headers, tag: 'read' };
    return [read, read, read, { method: 'PATCH', path: '/api/users/me', headers, body: '{"name":"Name {n}"}', tag: 'write' }];
  });
}

/** What a client saw. Only 200 is right here: a 401 or 404 under a fault would be as wrong as no answer. */
export function figuresOf(records: readonly RequestRecord[]) {
  const failed = (tag: string) => records.filter((record) => record.tag === tag && record.status !== 200);
  const reads = records.filter((record) => record.tag === 'read' && record.status === 200);
  const latencies = reads.map((record) => (record.answeredMs ?? 0) - record.plannedMs).sort((a, b) => a - b);
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
  return counts.size === 0 ? 'none' : [...counts].map(([what, count]) => `${count} × ${what}`).join('; ');
}

/**
 * Writes that were due and not answered while a death took place: what it may cost. From the moment that it was ordered to the one
 * when it was done, which on a busy machine is not the same.
 */
export function writesInFlight(records: readonly RequestRecord[], orderedMs: number, doneMs = orderedMs): number {
  const open = (record: RequestRecord) => record.answeredMs === undefined || record.answeredMs >= orderedMs;
  return records.filter((record) => record.tag === 'write' && record.plannedMs <= doneMs && open(record)).length;
}

/** The edge without its second chances: the planted fault of the scenarios where a host or worker dies. */
export function withoutRetry(text: string): string {
  return text
    .replaceAll(/proxy_next_upstream error[^;]*;/g, 'proxy_next_upstream off;')
    .replaceAll(/error_page 502 (503 )?504 = @\w+;/g, '');
}

export const nginx = (edit?: BalancerChoice['edit']): BalancerChoice => ({ kind: 'nginx', ...(edit === undefined ? {} : { edit }) });
