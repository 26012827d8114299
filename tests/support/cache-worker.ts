/**
 * A worker process of the cache tests: the real cache over real MongoDB and Redis. Its parent sends
 * the operations to run and the points at which to halt.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mongoose';
import { Registry } from 'prom-client';
import type { CacheSeams } from '../../src/platform/cache/cache';
import { connectCache } from '../../src/platform/cache/connect';
import { createMongoEpochStore, EPOCH_COLLECTION } from '../../src/platform/cache/epoch-store';
import type { CacheMembers } from '../../src/platform/cache/members';
import { ENTER, FILL, LEASE, LEAVE } from '../../src/platform/cache/scripts';
import type { RedisConnection } from '../../src/platform/redis/connection';
import type { Script } from '../../src/platform/redis/script';
import { cacheSettings, docCache, quiet } from './cache-fixture';
import { createRecorder, type HistoryOptions, type RecordedHistory } from './cache-history';

/** A safeguard that is disabled. */
export type Planted =
  | 'no-lease'
  | 'no-wait'
  | 'delete-only'
  | 'join-any-age'
  | 'entries-never-expire'
  | 'no-breaker'
  | 'believes-all'
  | 'waits-own-time'
  | 'own-way';

export interface WorkerOptions {
  readonly mongoUri: string;
  readonly environment: Record<string, string>;
  readonly planted?: Planted;
}

/**
 * Points at which a worker can be halted: before a script or the read is sent, after its reply,
 * after the load, after the commit.
 */
export type Point =
  | 'read'
  | 'lease'
  | 'fill'
  | 'enter'
  | 'leave'
  | 'entered'
  | 'loaded'
  | 'committed';

export type Request =
  | { readonly op: 'get' | 'write'; readonly key: string }
  | { readonly op: 'hold' | 'release'; readonly point: Point; readonly key: string }
  | { readonly op: 'count'; readonly name: string }
  | { readonly op: 'load-run'; readonly key: string; readonly times: number }
  | { readonly op: 'flood'; readonly prefix: string; readonly times: number }
  | { readonly op: 'near' }
  | { readonly op: 'history'; readonly options: HistoryOptions }
  | { readonly op: 'status' | 'close' };

export interface Status {
  readonly up: boolean;
  readonly outstanding: number;
  readonly rssMb: number;
}

export type FromWorker =
  | { readonly event: 'held'; readonly point: Point; readonly key: string }
  | { readonly event: 'ready' }
  | { readonly id: number; readonly result?: unknown; readonly error?: string };

const { mongoUri, environment, planted } = JSON.parse(process.argv[2] ?? '{}') as WorkerOptions;
const tell = (message: FromWorker): void =>
  void process.send?.(message, undefined, undefined, () => undefined);
const held = new Map<string, { release: () => void; released: Promise<void> }>();

async function gate(point: Point, key: string): Promise<void> {
  const hold = held.get(`${point} ${key}`);
  if (hold === undefined) return;
  tell({ event: 'held', point, key });
  await hold.released;
}

const docOf = (redisKey: string): string => /\{doc:(.*?)\}/.exec(redisKey)?.[1] ?? '';
const NAMES = new Map<Script, Point>([
  [ENTER, 'enter'],
  [LEAVE, 'leave'],
  [LEASE, 'lease'],
  [FILL, 'fill'],
]);

/** The same scripts with one safeguard left out. */
const BROKEN: Partial<Record<Planted, ReadonlyMap<Script, Pick<Script, 'keys' | 'text'>>>> = {
  'no-lease': new Map([
    [
      FILL,
      {
        keys: '2',
        text: "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) return 1",
      },
    ],
  ]),
  'delete-only': new Map([
    [ENTER, { keys: '2', text: 'return 1' }],
    [LEAVE, { keys: '2', text: "redis.call('DEL', KEYS[1]) return 1" }],
    [
      FILL,
      {
        keys: '2',
        text: "redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000) redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) return 1",
      },
    ],
  ]),
  'entries-never-expire': new Map([
    [
      ENTER,
      {
        keys: '2',
        text: "redis.call('DEL', KEYS[1]) redis.call('ZADD', KEYS[2], '+inf', ARGV[1]) return 1",
      },
    ],
  ]),
};

/** Accepts every reply as the reply to the current command. */
function believing(connection: RedisConnection): RedisConnection {
  return {
    ...connection,
    get identity() {
      return connection.identity;
    },
    reset: () => undefined,
    async send(key, args) {
      const reply = await connection.send(key, args);
      if (
        args[0] !== 'MGET' ||
        !Array.isArray(reply) ||
        !Buffer.isBuffer(reply[1]) ||
        reply[1].length < 18
      )
        return reply;
      const [nonce, stored] = reply as [Buffer, Buffer];
      const field = String(args[2]).split(':v2:')[1] ?? '';
      return [
        nonce,
        Buffer.concat([
          stored.subarray(0, 17),
          Buffer.from(`${field}\n`),
          stored.subarray(stored.indexOf(10, 17) + 1),
        ]),
      ];
    },
    async run(script, keys, args) {
      const reply = await connection.send(keys[0], [
        'EVAL',
        script.text,
        script.keys,
        ...keys,
        ...args,
        'any',
      ]);
      return Array.isArray(reply) ? reply[1] : reply;
    },
  };
}

function gated(plain: RedisConnection): RedisConnection {
  const connection = planted === 'believes-all' ? believing(plain) : plain;
  const broken = planted === undefined ? undefined : BROKEN[planted];
  return {
    start: () => connection.start(),
    get identity() {
      return connection.identity;
    },
    reset: () => connection.reset(),
    settled: (ms) => connection.settled(ms),
    status: () => connection.status(),
    close: () => connection.close(),
    async send(key, args) {
      await gate('read', docOf(key));
      return connection.send(key, args);
    },
    async run(script, keys, args) {
      const point = NAMES.get(script) ?? 'read';
      await gate(point, docOf(keys[0]));
      const other = broken?.get(script);
      const reply =
        other === undefined
          ? await connection.run(script, keys, args)
          : await connection.send(keys[0], ['EVAL', other.text, other.keys, ...keys, ...args]);
      if (script === ENTER) await gate('entered', docOf(keys[0]));
      return reply;
    },
  };
}

const seams: CacheSeams = {
  redis: gated,
  withoutBreaker: planted === 'no-breaker',
  ...(planted === 'join-any-age' ? { joinMs: Number.POSITIVE_INFINITY } : {}),
  ...(planted === 'no-wait' || planted === 'delete-only' ? { pause: async () => undefined } : {}),
};

async function main(): Promise<void> {
  const connection = await createConnection(mongoUri, {
    serverSelectionTimeoutMS: 5000,
    maxPoolSize: 20,
  }).asPromise();
  const docs = connection.collection<{ _id: string; version: number }>('docs');
  const metrics = new Registry();
  const epochStore = createMongoEpochStore(() => connection.collection(EPOCH_COLLECTION));
  let status = (): Status['outstanding'] => 0;
  let nearTtlMs = () => 0;
  const settings = cacheSettings(environment);
  const cache = await connectCache({
    settings,
    log: quiet,
    metrics,
    epochStore,
    seams: {
      ...seams,
      lease: (lease) =>
        planted === 'own-way'
          ? { ...lease, prepare: async () => {}, fence: async () => 0, release: async () => {} }
          : lease,
      members: (members) => {
        nearTtlMs = () => members.lifetime.ttlMs;
        if (planted === 'waits-own-time')
          return Object.create(members, {
            greatestTtlMs: { value: () => settings.nearTtlMs },
          }) as CacheMembers;
        return planted === 'own-way'
          ? (Object.create(members, { foreign: { value: () => [] } }) as CacheMembers)
          : members;
      },
      redis: (connection) => {
        status = () => connection.status().outstanding;
        return gated(connection);
      },
    },
  });
  const typed = cache.define(
    docCache(async (key) => {
      const doc = await docs.findOne({ _id: key });
      await gate('loaded', key);
      return doc === null ? null : { version: doc.version };
    }),
  );
  const read = (key: string) => {
    const near = typed.peek(key);
    return near === undefined ? typed.get(key) : Promise.resolve(near);
  };
  const write = (key: string) =>
    cache.write([`doc:${key}`], async () => {
      const durable = {
        upsert: true,
        returnDocument: 'after',
        writeConcern: { w: 'majority', journal: true },
      } as const;
      const doc = await docs.findOneAndUpdate({ _id: key }, { $inc: { version: 1 } }, durable);
      await gate('committed', key);
      return doc?.version ?? 0;
    });
  const recorder = createRecorder(read, write);

  async function answer(request: Request): Promise<unknown> {
    switch (request.op) {
      case 'get':
        return (await read(request.key))?.version ?? null;
      case 'write':
        return write(request.key);
      case 'hold': {
        const { promise: released, resolve: release } = withResolvers();
        held.set(`${request.point} ${request.key}`, { released, release });
        return undefined;
      }
      case 'release': {
        const name = `${request.point} ${request.key}`;
        held.get(name)?.release();
        held.delete(name);
        return undefined;
      }
      case 'count':
        return (
          (await metrics.getSingleMetric(`cache_${request.name}_total`)?.get())?.values[0]?.value ??
          0
        );
      case 'load-run':
        return (await Promise.all(Array.from({ length: request.times }, () => read(request.key))))
          .length;
      case 'flood':
        for (let done = 0; done < request.times; done += 200) {
          await Promise.all(
            Array.from({ length: 200 }, (_, i) => read(`${request.prefix}-${done + i}`)),
          );
        }
        return undefined;
      case 'near':
        return (await metrics.getSingleMetric('cache_local_entries')?.get())?.values[0]?.value;
      case 'history':
        return (await recorder(request.options)) satisfies RecordedHistory;
      case 'status':
        return {
          up: cache.state().status === 'up',
          outstanding: status(),
          rssMb: Math.round(process.memoryUsage.rss() / 1048576),
        } satisfies Status;
      case 'close':
        await cache.close();
        await connection.close();
        return undefined;
    }
  }

  process.on('message', ({ id, ...request }: Request & { id: number }) => {
    answer(request as Request).then(
      (result) => {
        tell({ id, result });
        if (request.op === 'close') process.disconnect?.();
      },
      (error: unknown) =>
        tell({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
  // Orphaned: no parent is left to read the replies.
  process.on('disconnect', () => void sleep(100).then(() => process.kill(process.pid, 'SIGKILL')));
  // A kind that is new on this database keeps no local entries until every writer knows of it.
  while (settings.nearTtlMs > 0 && nearTtlMs() === 0) await sleep(20);
  tell({ event: 'ready' });
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
  process.disconnect?.();
});
