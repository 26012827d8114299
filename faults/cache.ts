import { spawnSync } from 'node:child_process';
import { findTool } from '../tests/support/tools';
import {
  type CacheStage,
  cacheBackMs,
  latencyOf,
  startCheckedLoad,
  succeeded,
  watchMetric,
  withCacheStage,
} from './cache-kit';
import { flood, history, prices } from './cache-long';
import type { RequestRecord } from './load';
import { pause } from './process-kit';
import { type Outcome, type RunOptions, type Scenario, SkipScenario, type Suite } from './scenario';

interface Fault {
  readonly name: string;
  readonly title: string;
  /** Some seconds before. */
  prepare?(stage: CacheStage): Promise<unknown>;
  /** Begins the fault; returns the function that ends it. */
  begin(stage: CacheStage): Promise<() => Promise<void>>;
  /** Duration of the fault; 0: it ends immediately. */
  readonly lasts: boolean;
  readonly planted?: string;
}

const RATE_PER_SECOND = 100;
/** A Redis client with its defaults: it waits for every reply, and queues all commands. */
const PATIENT = {
  REDIS_COMMAND_TIMEOUT_MS: '10000',
  REDIS_QUEUE_MAX: '10000',
  CACHE_WRITER_TTL_MS: '30000',
};

/** Under load: 5 s without a fault, the fault, and the time after it. */
async function suffer(fault: Fault, { quick, planted }: RunOptions): Promise<Outcome> {
  const faultMs = fault.lasts ? (quick ? 4000 : 30_000) : 0;
  return withCacheStage(planted ? PATIENT : {}, async (stage) => {
    const load = startCheckedLoad(stage, RATE_PER_SECOND);
    const queued = watchMetric(stage, 'cache_redis_outstanding');
    await pause(quick ? 1500 : 5000);
    await fault.prepare?.(stage);
    await pause(quick ? 500 : 3000);
    const begun = load.elapsedMs();
    const end = await fault.begin(stage);
    await pause(faultMs);
    await end();
    const ended = load.elapsedMs();
    const backMs = await cacheBackMs(stage);
    await pause(quick ? 1000 : 5000);
    const last = load.elapsedMs();
    const records = await load.stop();
    const verdict = load.verdict();
    const failed = records.filter((one) => !succeeded(one)).length;
    const until = fault.lasts ? ended : last;
    const readP99 = latencyOf(records, 'read', begun + 2000, until, 0.99);
    const writeP99 = latencyOf(records, 'write', begun + 2000, until, 0.99);
    const most = await queued.stop();
    return {
      met:
        failed === 0 &&
        verdict.stale === 0 &&
        verdict.writes > 0 &&
        readP99 <= 100 &&
        writeP99 <= 100 &&
        most <= 100 &&
        backMs >= 0 &&
        backMs <= 5000,
      figures: {
        requests: records.length,
        failed,
        'not 200': others(records),
        stale: verdict.stale,
        'reads and writes checked': `${verdict.reads} + ${verdict.writes}`,
        'reads p99 ms': readP99,
        'writes p99 ms': writeP99,
        'worst in the first 2 s, ms': Math.max(
          latencyOf(records, 'read', begun, begun + 2000, 1),
          latencyOf(records, 'write', begun, begun + 2000, 1),
        ),
        'queued at most': most,
        'cache back ms': backMs,
      },
    };
  });
}

function others(records: readonly RequestRecord[]): string {
  const counts = new Map<string, number>();
  for (const { tag, status, error, code } of records.filter((one) => !succeeded(one))) {
    const what = [tag, status ?? error, code].filter(Boolean).join(' ');
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return counts.size === 0
    ? 'none'
    : [...counts].map(([what, count]) => `${count} × ${what}`).join('; ');
}

function firewall(port: number, action: '-I' | '-D'): void {
  for (const side of ['--dport', '--sport']) {
    const done = spawnSync('iptables', [
      '-w',
      '5',
      action,
      'INPUT',
      '-i',
      'lo',
      '-p',
      'tcp',
      side,
      String(port),
      '-j',
      'DROP',
    ]);
    if (done.status !== 0 && action === '-I')
      throw new SkipScenario(`iptables: ${done.stderr.toString().trim()}`);
  }
}

const faults: readonly Fault[] = [
  {
    name: 'killed',
    title: 'Redis killed, started again after 30 s',
    lasts: true,
    async begin({ redis }) {
      await redis.kill();
      return () => redis.restart();
    },
  },
  {
    name: 'stopped',
    title: 'Redis stopped (SIGSTOP) for 30 s',
    lasts: true,
    planted: 'no command time-out, no bound',
    async begin({ redis }) {
      redis.signal('SIGSTOP');
      return async () => redis.signal('SIGCONT');
    },
  },
  {
    name: 'dropped',
    title: 'packets to and from Redis dropped by iptables for 30 s',
    lasts: true,
    planted: 'no command time-out, no bound',
    async begin({ redis }) {
      if (process.getuid?.() !== 0 || findTool('iptables') === undefined)
        throw new SkipScenario('needs root and iptables');
      firewall(redis.port, '-I');
      return async () => firewall(redis.port, '-D');
    },
  },
  {
    name: 'resetting',
    title: 'Redis resets every connection each second for 30 s',
    lasts: true,
    begin: repeatedly(1000, ({ redis }) => redis.command('CLIENT', 'KILL', 'TYPE', 'normal')),
  },
  {
    name: 'replica',
    title: 'Redis becomes a read-only replica for 30 s',
    lasts: true,
    async begin({ redis }) {
      await redis.command('REPLICAOF', '127.0.0.1', '1');
      return async () => void (await redis.command('REPLICAOF', 'NO', 'ONE'));
    },
  },
  {
    name: 'read-only',
    title: 'Redis refuses every write (too few replicas) for 30 s',
    lasts: true,
    async begin({ redis }) {
      await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '1');
      return async () => void (await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '0'));
    },
  },
  {
    name: 'out-of-memory',
    title: 'Redis out of memory (maxmemory, noeviction) for 30 s',
    lasts: true,
    async begin({ redis }) {
      await redis.command('CONFIG', 'SET', 'maxmemory', '100kb');
      return async () => void (await redis.command('CONFIG', 'SET', 'maxmemory', '0'));
    },
  },
  {
    name: 'flushed',
    title: 'FLUSHALL each second for 30 s',
    lasts: true,
    begin: repeatedly(1000, ({ redis }) => redis.command('FLUSHALL')),
  },
  {
    name: 'restarted-empty',
    title: 'Redis restarted empty',
    lasts: false,
    async begin({ redis }) {
      await redis.kill();
      await redis.restart();
      return async () => undefined;
    },
  },
  {
    name: 'restarted-old',
    title: 'Redis restarted with a snapshot from 3 s before',
    lasts: false,
    prepare: ({ redis }) => redis.command('SAVE'),
    async begin({ redis }) {
      await redis.kill();
      await redis.restart();
      return async () => undefined;
    },
  },
];

function repeatedly(everyMs: number, act: (stage: CacheStage) => Promise<unknown>): Fault['begin'] {
  return async (stage) => {
    let on = true;
    const acting = (async () => {
      while (on) {
        await act(stage);
        await pause(everyMs);
      }
    })();
    return async () => {
      on = false;
      await acting;
    };
  };
}

const scenarios: Scenario[] = faults.map((fault) => ({
  name: fault.name,
  title: fault.title,
  goal: '0 failed, 0 stale, from second 2 on p99 of reads and of writes ≤ 100 ms (the wait of τ = 50 ms included), ≤ 100 commands queued, cache back ≤ 5 s after',
  ...(fault.planted === undefined ? {} : { planted: fault.planted }),
  run: (options) => suffer(fault, options),
}));

export const suite: Suite = {
  name: 'cache',
  title: 'Redis and the claim of the cache',
  setting: `The service on four workers over HTTP, one redis-server and one MongoDB engine, all on this machine; open loop, ${RATE_PER_SECOND} requests/s over 40 users, three reads to one write, every answer checked against the writes acknowledged before its request.`,
  scenarios: [...scenarios, ...history, ...flood, ...prices],
};
