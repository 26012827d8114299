import { type Answer, answers, type Backend, startBackend } from '../tests/support/backend';
import { startHaproxy, startNginx } from '../tests/support/balancers';
import { findTool } from '../tests/support/tools';
import { runLoad } from './load';
import { type Scenario, SkipScenario } from './scenario';

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];

/** The ways in which a host fails a write after receiving it, and one without failure. */
const FAILURES: readonly Answer[] = [
  answers.json({ ok: true }),
  answers.cut,
  (_, response) => {
    response
      .writeHead(200, { 'content-length': '100' })
      .write('{', () => response.socket?.resetAndDestroy());
  },
  answers.status(502),
  answers.status(503),
  answers.status(504),
];

const planted = {
  nginx: (text: string) =>
    text.replaceAll(
      /proxy_next_upstream (off|error timeout);/g,
      'proxy_next_upstream error timeout http_502 http_503 non_idempotent;',
    ),
  haproxy: (text: string) =>
    text.replace(
      'retry-on conn-failure\n    default-server maxconn 256',
      'retry-on all-retryable-errors\n    default-server maxconn 256',
    ),
};

/**
 * The hosts record every write that arrives, then fail it. Each must have arrived once.
 */
export function writeNeverRepeated(kind: 'nginx' | 'haproxy'): Scenario {
  const title = kind === 'nginx' ? 'NGINX' : 'HAProxy';
  return {
    name: `write-once-${kind}`,
    title: `${title} never repeats a write, however a host fails it`,
    goal: '0 writes seen twice by the hosts',
    planted: kind === 'nginx' ? 'non_idempotent' : 'retry-on all-retryable-errors',
    async run(options) {
      if (findTool(kind) === undefined) throw new SkipScenario(`${kind} not installed`);
      const failing: Answer = (seen, response) =>
        FAILURES[Number(seen.headers['x-n']) % FAILURES.length]?.(seen, response);
      const hosts: Backend[] = [await startBackend(failing), await startBackend(failing)];
      const start = kind === 'nginx' ? startNginx : startHaproxy;
      const edge = await start({
        hosts: hosts.map(({ host }) => host),
        // Failing hosts must stay in the pool, or most writes would find no host.
        env: {
          EDGE_RATE_PER_SECOND: '100000',
          EDGE_RATE_BURST: '100000',
          EDGE_RATE_PER_10S: '1000000',
          EDGE_MAX_FAILS: '0',
        },
        ...(options.planted ? { edit: planted[kind] } : {}),
      });
      try {
        const request = (n: number) => ({
          method: METHODS[Math.floor(n / FAILURES.length) % 4] ?? '',
          path: '/api/users',
          body: '{}',
          headers: { 'x-n': `${n}` },
        });
        const records = await runLoad(
          { targets: [edge.url], ratePerSecond: 300, request },
          options.quick ? 2000 : 20_000,
        );
        const arrivals = hosts
          .flatMap(({ seen }) => seen)
          .map(({ headers }) => String(headers['x-n']));
        const repeated = arrivals.length - new Set(arrivals).size;
        const failed = records.filter(({ status }) => status !== 200).length;
        return {
          met: repeated === 0 && new Set(arrivals).size === records.length,
          figures: {
            writes: records.length,
            'failed by the hosts': failed,
            'seen twice': repeated,
          },
        };
      } finally {
        await edge.close();
        await Promise.all(hosts.map((host) => host.down()));
      }
    },
  };
}
