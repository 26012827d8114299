import { isRunning } from '../tests/support/service';
import { until } from '../tests/support/until';
import {
  figuresOf,
  limitMs,
  nginx,
  type Stage,
  withoutRetry,
  withStage,
  writesInFlight,
} from './hosts-setup';
import { writeNeverRepeated } from './hosts-writes';
import type { RequestRecord } from './load';
import type { Outcome, Scenario, Suite } from './scenario';

const first = <T>(list: readonly T[]): T => {
  const [one] = list;
  if (one === undefined) throw new RangeError('an empty list');
  return one;
};

/** Figures that every scenario shows, in the table's words. */
function shown(records: readonly RequestRecord[]): Record<string, number | string> {
  const { requests, failedReads, failedWrites, readP99Ms, readMaxMs, outcomes } =
    figuresOf(records);
  return {
    requests,
    'failed reads': failedReads,
    'failed writes': failedWrites,
    'read p99 ms': readP99Ms,
    'read max ms': readMaxMs,
    'not 200': outcomes,
  };
}

/**
 * Stops a worker briefly before the kill, so that it has requests in flight: a kill between two
 * requests would test nothing.
 */
async function freezeAndKill(
  pid: number,
  frozenMs: number,
  now: () => number,
): Promise<[orderedMs: number, doneMs: number]> {
  process.kill(pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, frozenMs));
  const orderedMs = now();
  process.kill(pid, 'SIGKILL');
  await until('it is dead', () => !isRunning(pid), 5000, 1);
  return [orderedMs, now()];
}

const workerKilled: Scenario = {
  name: 'worker-killed',
  title: 'kill -9 of one worker, seen through NGINX',
  goal: '0 failed reads; failed writes ≤ those in flight; whole in ≤ 2 s',
  planted: 'no retry at the edge',
  run: ({ quick, planted }) =>
    withStage({ quick, balancers: [nginx(planted ? withoutRetry : undefined)] }, async (stage) => {
      const host = first(stage.hosts);
      const load = await stage.startLoad();
      let wholeMs = 0;
      const moments: [number, number][] = [];
      for (let turn = 0; turn < (quick ? 2 : 6); turn += 1) {
        await load.reached(load.elapsedMs() + 700);
        const victim = first(host.workerPids().filter(isRunning));
        const ready = host.logs('worker ready').length;
        moments.push(await freezeAndKill(victim, 150, load.elapsedMs));
        const killed = performance.now();
        await until('a successor is ready', () => host.logs('worker ready').length > ready);
        wholeMs = Math.max(wholeMs, Math.round(performance.now() - killed));
      }
      await load.reached(load.elapsedMs() + 500);
      const records = await load.stop();
      const inFlight = moments.reduce(
        (sum, [ordered, done]) => sum + writesInFlight(records, ordered, done),
        0,
      );
      const { failedReads, failedWrites } = figuresOf(records);
      return {
        met:
          failedReads === 0 && failedWrites <= inFlight && wholeMs <= limitMs(2000, quick, stage),
        figures: {
          kills: moments.length,
          ...shown(records),
          'writes in flight': inFlight,
          'whole ms': wholeMs,
        },
      };
    }),
};

const primaryKilled: Scenario = {
  name: 'primary-killed',
  title: "kill -9 of one host's primary, a second host there",
  goal: '0 failed reads; failed writes ≤ those in flight; 0 orphans after 2 s; host back in use after its start',
  planted: 'no retry at the edge',
  run: ({ quick, planted }) =>
    withStage({ quick, balancers: [nginx(planted ? withoutRetry : undefined)] }, async (stage) => {
      const host = first(stage.hosts);
      const load = await stage.startLoad();
      await load.reached(1000);
      const workers = host.workerPids();
      const moment = load.elapsedMs();
      process.kill(host.pid, 'SIGKILL');
      await until('no orphans', () => !workers.some(isRunning), 2000).catch(() => undefined);
      const done = load.elapsedMs();
      const orphans = workers.filter(isRunning).length;
      await load.reached(moment + (quick ? 1500 : 5000));
      await host.start();
      await load.reached(load.elapsedMs() + 3000);
      const records = await load.stop();
      const used = await usedAgain(stage);
      const { failedReads, failedWrites } = figuresOf(records);
      const inFlight = writesInFlight(records, moment, done);
      return {
        met: failedReads === 0 && failedWrites <= inFlight && orphans === 0 && used,
        figures: {
          ...shown(records),
          'writes in flight': inFlight,
          orphans,
          'used again': used ? 'yes' : 'no',
        },
      };
    }),
};

/**
 * Whether the first host answers requests that come through the balancer; health checks of a
 * balancer's own do not count.
 */
async function usedAgain({ hosts, balancers, client }: Stage): Promise<boolean> {
  const answered = () =>
    first(hosts)
      .logs()
      .filter(({ route }) => route === '/health').length;
  const from = answered();
  for (let n = 0; n < 10; n += 1) await client.request(`${first(balancers).url}/health`);
  return until('a request reaches the host', () => answered() > from, 1000).then(
    () => true,
    () => false,
  );
}

/** The configuration of a balancer without this safeguard. */
const patient = {
  nginx: (text: string) => text.replaceAll(/proxy_(connect|read|send)_timeout [^;]*;/g, ''),
  haproxy: (text: string) =>
    text
      .replaceAll(/timeout (connect|server) \d+s/g, 'timeout $1 60s')
      .replaceAll(/" (check|track \S+)$/gm, '"'),
};

const hostCut = (kind: 'nginx' | 'haproxy'): Scenario => ({
  name: `host-cut-${kind}`,
  title: `one host cut off (packets dropped, no RST) and back, behind ${kind === 'nginx' ? 'NGINX' : 'HAProxy'}`,
  goal: '0 failed reads, each answered in ≤ 5 s; failed writes ≤ those in flight; ≤ 5 % of reads slower than 0.5 s; host used again in ≤ 5 s',
  planted: kind === 'nginx' ? "NGINX's own timeouts (60 s)" : 'no checks, timeouts of 60 s',
  run: ({ quick, planted }) =>
    withStage(
      { quick, balancers: [{ kind, ...(planted ? { edit: patient[kind] } : {}) }] },
      async (stage) => {
        const host = first(stage.hosts);
        const load = await stage.startLoad({ timeoutMs: 20_000 });
        await load.reached(1000);
        const moment = load.elapsedMs();
        host.node.cut();
        const done = load.elapsedMs();
        await load.reached(moment + (quick ? 5000 : 20_000));
        host.node.restore();
        const restored = performance.now();
        await until('the host is used again', () => usedAgain(stage), 15_000, 100);
        const usedMs = Math.round(performance.now() - restored);
        await load.reached(load.elapsedMs() + 1000);
        const records = await load.stop();
        const { failedReads, failedWrites, readMaxMs } = figuresOf(records);
        const inFlight = writesInFlight(records, moment, done);
        const reads = records.filter((record) => record.tag === 'read');
        const slow = reads.filter(
          (record) => (record.answeredMs ?? Number.POSITIVE_INFINITY) - record.plannedMs > 500,
        ).length;
        const slowShare = Math.round((1000 * slow) / reads.length) / 10;
        return {
          met:
            failedReads === 0 &&
            readMaxMs <= limitMs(5000, quick, stage) &&
            failedWrites <= inFlight &&
            usedMs <= limitMs(5000, quick, stage) &&
            (quick || slowShare <= 5),
          figures: {
            ...shown(records),
            'writes in flight': inFlight,
            'slow reads %': slowShare,
            'used again ms': usedMs,
          },
        };
      },
    ),
});

const balancerKilled: Scenario = {
  name: 'balancer-killed',
  title: 'kill -9 of one of two balancers (NGINX, HAProxy)',
  goal: '0 failed reads; failed writes ≤ those in flight',
  planted: 'a client that knows one balancer only',
  run: ({ quick, planted }) =>
    withStage({ quick, balancers: [nginx(), { kind: 'haproxy' }] }, async (stage) => {
      const load = await stage.startLoad({ failover: !planted });
      await load.reached(1000);
      const moment = load.elapsedMs();
      first(stage.balancers).node.kill();
      const done = load.elapsedMs();
      await load.reached(moment + (quick ? 1500 : 5000));
      const records = await load.stop();
      const { failedReads, failedWrites } = figuresOf(records);
      const inFlight = writesInFlight(records, moment, done);
      const byOther = records.filter(
        (record) => record.target !== first(stage.balancers).url && record.status === 200,
      ).length;
      return {
        met: failedReads === 0 && failedWrites <= inFlight && byOther > 0,
        figures: {
          ...shown(records),
          'writes in flight': inFlight,
          'answered by the other': byOther,
        },
      };
    }),
};

const rollingReload: Scenario = {
  name: 'rolling-reload',
  title: 'rolling reload (SIGHUP) of one host behind NGINX',
  goal: '0 failed reads and writes',
  planted: 'workers killed instead of drained',
  run: ({ quick, planted }) =>
    withStage({ quick, balancers: [nginx()] }, async (stage) => {
      const host = first(stage.hosts);
      const load = await stage.startLoad();
      const reloads = quick ? 1 : 5;
      for (let turn = 0; turn < reloads; turn += 1) {
        await load.reached(load.elapsedMs() + 500);
        const old = host.workerPids().filter(isRunning);
        if (planted) for (const pid of old) process.kill(pid, 'SIGKILL');
        else process.kill(host.pid, 'SIGHUP');
        await until(
          'all workers are new',
          () => !old.some(isRunning) && host.workerPids().filter(isRunning).length >= old.length,
          30_000,
        );
      }
      await load.reached(load.elapsedMs() + 500);
      const records = await load.stop();
      const { failedReads, failedWrites } = figuresOf(records);
      return { met: failedReads + failedWrites === 0, figures: { reloads, ...shown(records) } };
    }),
};

const deployment =
  (kind: 'nginx' | 'haproxy'): Scenario['run'] =>
  ({ quick, planted }) =>
    // HAProxy needs two readiness checks, one per second: the host must serve while it still
    // receives requests.
    withStage(
      {
        quick,
        balancers: [{ kind }],
        env: { SHUTDOWN_DELAY_MS: '3000', SHUTDOWN_DEADLINE_MS: '15000' },
      },
      async (stage) => {
        const load = await stage.startLoad();
        let clean = 0;
        const turns = quick ? stage.hosts.slice(0, 1) : stage.hosts;
        for (const host of turns) {
          await load.reached(load.elapsedMs() + 700);
          const { running } = host;
          if (planted) host.node.kill();
          else running.child.kill('SIGTERM');
          const { code } = await running.exited;
          if (code === 0) clean += 1;
          await host.start();
          await load.reached(load.elapsedMs() + 3000);
        }
        const records = await load.stop();
        const { failedReads, failedWrites } = figuresOf(records);
        return {
          met: failedReads + failedWrites === 0 && clean === turns.length,
          figures: { hosts: turns.length, 'exit 0': clean, ...shown(records) },
        } satisfies Outcome;
      },
    );

export const suite: Suite = {
  name: 'hosts',
  title: 'Several hosts behind balancers',
  setting:
    'Two hosts of two workers each (SIGKILL, SIGSTOP and iptables are real), Redis, balancers and the client each in a network namespace of its own, one MongoDB; open loop, 160 requests/s, three reads to one write.',
  scenarios: [
    workerKilled,
    primaryKilled,
    hostCut('nginx'),
    hostCut('haproxy'),
    balancerKilled,
    rollingReload,
    {
      name: 'deploy-nginx',
      title: 'each host stopped (SIGTERM) and started in turn, behind NGINX',
      goal: '0 failed reads and writes; exit 0',
      planted: 'SIGKILL instead of SIGTERM',
      run: deployment('nginx'),
    },
    {
      name: 'deploy-haproxy',
      title: 'the same behind HAProxy, by its active checks',
      goal: '0 failed reads and writes; exit 0',
      planted: 'SIGKILL instead of SIGTERM',
      run: deployment('haproxy'),
    },
    writeNeverRepeated('nginx'),
    writeNeverRepeated('haproxy'),
  ],
};
