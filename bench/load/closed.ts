import autocannon from 'autocannon';
import { createSource, type Stripe } from './traffic';

export interface ClosedSpec {
  readonly kind: 'closed';
  readonly url: string;
  readonly trafficFile: string;
  /** Over all load processes. */
  readonly connections: number;
  readonly seconds: number;
  /** Requests after which a connection is closed and opened anew; 1 turns keep-alive off. */
  readonly requestsPerConnection?: number;
  /** Requests of the list to leave out, since they were sent before. */
  readonly skip?: number;
}

export interface ClosedResult {
  readonly perSecond: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: number;
}

/** Each connection sends its next request when the answer to the last is there: how much the server can do at most. */
export async function runClosed(spec: ClosedSpec, stripe: Stripe): Promise<ClosedResult> {
  const next = createSource(spec.trafficFile, new URL(spec.url).host, stripe, spec.skip);
  const result = await autocannon({
    url: spec.url,
    connections: Math.max(1, Math.round(spec.connections / stripe.count)),
    duration: spec.seconds,
    timeout: 30,
    ...(spec.requestsPerConnection === undefined ? {} : { reconnectRate: spec.requestsPerConnection }),
    // autocannon builds a request anew to vary it; handing it finished bytes keeps the generator faster than the server.
    setupClient: (client) => Object.assign(client, { getRequestBuffer: next }),
  });
  const statuses = Object.fromEntries(Object.entries(result.statusCodeStats ?? {}).map(([status, { count }]) => [status, count ?? 0]));
  const answers = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  return { perSecond: answers / result.duration, statuses, errors: result.errors };
}
