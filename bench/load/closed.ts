import type { EventEmitter } from 'node:events';
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

/**
 * Each connection sends its next request when the answer to the last is there: how much the server
 * can do at most.
 */
export async function runClosed(spec: ClosedSpec, stripe: Stripe): Promise<ClosedResult> {
  const next = createSource(spec.trafficFile, new URL(spec.url).host, stripe, spec.skip);
  /**
   * autocannon does not count the answer after which it reconnects: with one request per
   * connection, none.
   */
  const counted: Record<string, number> = {};
  const count = ({ statusCode }: { statusCode: number }) => {
    counted[statusCode] = (counted[statusCode] ?? 0) + 1;
  };
  const reconnects = spec.requestsPerConnection !== undefined;
  const result = await autocannon({
    url: spec.url,
    connections: Math.max(1, Math.round(spec.connections / stripe.count)),
    duration: spec.seconds,
    timeout: 30,
    ...(reconnects ? { reconnectRate: spec.requestsPerConnection } : {}),
    // autocannon builds a request anew to vary it; handing it finished bytes keeps the generator
    // faster than the server. It has no public way for that (docs/adr/0017-public-interfaces.md).
    setupClient: (client) => {
      Object.assign(client, { getRequestBuffer: next });
      if (reconnects) (client as unknown as EventEmitter).on('headers', count);
    },
  });
  if (reconnects)
    return { perSecond: sum(counted) / result.duration, statuses: counted, errors: result.errors };
  const statuses = Object.fromEntries(
    Object.entries(result.statusCodeStats ?? {}).map(([status, { count }]) => [status, count ?? 0]),
  );
  return { perSecond: sum(statuses) / result.duration, statuses, errors: result.errors };
}

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((total, one) => total + one, 0);
