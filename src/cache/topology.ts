import { createHash } from 'node:crypto';
import { RESP_TYPES } from 'redis';
import { backoffMs, type Closable } from '../lifecycle';

export type RedisArgument = string | Buffer;

/** What the link needs of Redis, whichever way it is deployed. */
export interface Topology extends Closable {
  /** Does not wait for Redis to be there: connecting goes on in the background for ever. */
  start(): void;
  readonly connected: boolean;
  /** One command for the server that holds `key`. Rejects at once while there is no connection; never times out by itself. */
  send(key: string, args: RedisArgument[]): Promise<unknown>;
  /**
   * Names the data set that answers now: the process (run id) and its history (replication id) of every master. Another
   * name means that what was stored may be lost or rolled back. Rejects while one of them is not a master.
   */
  identify(): Promise<string>;
  /** Writes under `key` on every master; rejects when one refuses. */
  tryWrite(key: string): Promise<void>;
}

export interface TopologyEvents {
  /** A connection was made or lost: answers that are under way may come from another server than the caller thinks. */
  changed(): void;
  fault(error: unknown): void;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** What REDIS_URL says. */
export interface RedisAddresses {
  readonly nodes: readonly [RedisAddress, ...RedisAddress[]];
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
  readonly database: number;
}

export interface TopologyOptions {
  readonly addresses: RedisAddresses;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
}

/** `redis[s]://[user:password@]host[:port][/database]`, then more hosts after commas: `host:port`, or whole URLs of which only those are read. */
export function parseAddresses(text: string): RedisAddresses {
  const [first = '', ...others] = text.split(',').map((part) => part.trim());
  const url = new URL(first);
  const address = ({ hostname, port }: URL): RedisAddress => ({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
  });
  return {
    nodes: [address(url), ...others.map((other) => address(new URL(other.includes('://') ? other : `redis://${other}`)))],
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    tls: url.protocol === 'rediss:',
    database: url.pathname.length > 1 ? Number(url.pathname.slice(1)) : 0,
  };
}

/**
 * Of every command: strings come as Buffers, to be sent on as they are; and none of node-redis' own time-outs (5 s by
 * default), which end only the wait to be written, and make an AbortSignal for each command: 8 µs, half of a read.
 */
export const COMMAND_OPTIONS = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 } as const;

/** What every node-redis client of ours has in common. The offline queue is off: a command that cannot be sent fails now. */
export function clientOptions({ addresses, connectTimeoutMs, silenceMs }: TopologyOptions) {
  return {
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    ...(addresses.username === undefined ? {} : { username: addresses.username }),
    ...(addresses.password === undefined ? {} : { password: addresses.password }),
    socket: {
      ...(addresses.tls ? { tls: true as const } : {}),
      connectTimeout: connectTimeoutMs,
      // The link asks for the identity several times a second, so a silent socket is a dead one.
      socketTimeout: silenceMs,
      reconnectStrategy: (retries: number) => backoffMs(retries, 50, 500),
    },
  } as const;
}

/** A write as the cache's own are: by a script. */
export const tryWriteCommand = (key: string): RedisArgument[] => ['EVAL', "return redis.call('SET', KEYS[1], '1', 'PX', 1000)", '1', key];

export type Send = (args: RedisArgument[]) => Promise<unknown>;

/** The identity of one server, which must be a master. */
export async function identifyServer(send: Send): Promise<string> {
  const [server, replication] = await Promise.all([send(['INFO', 'server']), send(['INFO', 'replication'])]);
  return identityOf(String(server), String(replication));
}

/** From the answers to INFO server and INFO replication. */
function identityOf(server: string, replication: string): string {
  const field = (text: string, name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  const role = field(replication, 'role');
  if (role !== 'master') throw new Error(`the Redis server is a ${role === '' ? 'server of unknown role' : role}, not a master`);
  return createHash('sha1')
    .update(`${field(server, 'run_id')} ${field(replication, 'master_replid')}`)
    .digest('hex')
    .slice(0, 12);
}
