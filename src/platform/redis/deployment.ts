import { createHash } from 'node:crypto';
import { RESP_TYPES } from 'redis';
import { backoffMs, type Closable } from '../../kernel/lifecycle';

export type RedisArgument = string | Buffer;

/** One Redis: a single server, a master under Sentinels, or a Cluster. */
export interface Deployment extends Closable {
  /** Does not wait for Redis: connecting goes on in the background without end. */
  start(): void;
  readonly connected: boolean;
  /**
   * Sends one command to the server that holds `key`. Rejects at once while there is no connection;
   * has no time-out of its own.
   */
  send(key: string, args: RedisArgument[]): Promise<unknown>;
  /**
   * Names the data set that answers now, by the process (run id) and the history (replication id)
   * of every master. Another name means that stored values may be lost or rolled back. Rejects
   * while one of the servers is not a master.
   */
  identify(): Promise<string>;
  /** Closes every connection that carries commands, and opens others. */
  reset(): void;
  /** Writes under `key` on every master; rejects when one refuses. */
  tryWrite(key: string): Promise<void>;
}

/** A reply that belongs to another command. */
export class MisdeliveredError extends Error {
  override readonly name = 'MisdeliveredError';
}

export interface DeploymentEvents {
  /**
   * A connection was made or lost: a reply under way may come from another server than the caller
   * expects.
   */
  changed(): void;
  fault(error: unknown): void;
  /** A reply came that no command had asked for, or that cannot be parsed. */
  misdelivered(): void;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** The parts of REDIS_URL. */
export interface RedisAddresses {
  readonly nodes: readonly [RedisAddress, ...RedisAddress[]];
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
  readonly database: number;
}

export interface DeploymentOptions {
  readonly addresses: RedisAddresses;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
}

/**
 * `redis[s]://[user:password@]host[:port][/database]`, then more hosts after commas: `host:port`,
 * or whole URLs of which only host and port are read.
 */
export function parseAddresses(text: string): RedisAddresses {
  const [first = '', ...others] = text.split(',').map((part) => part.trim());
  const url = new URL(first);
  const address = ({ hostname, port }: URL): RedisAddress => ({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
  });
  return {
    nodes: [
      address(url),
      ...others.map((other) =>
        address(new URL(other.includes('://') ? other : `redis://${other}`)),
      ),
    ],
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    tls: url.protocol === 'rediss:',
    database: url.pathname.length > 1 ? Number(url.pathname.slice(1)) : 0,
  };
}

/**
 * For every command: strings arrive as Buffers, which are sent on as they are. node-redis' own
 * time-outs (5 s by default) are off: they end only the wait to be written, and make an AbortSignal
 * for each command (8 µs, half of a read).
 */
export const COMMAND_OPTIONS = {
  typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer },
  timeout: 0,
} as const;

/**
 * The options of every node-redis client. The offline queue is off: a command that cannot be sent
 * fails at once.
 */
export function clientOptions({ addresses, connectTimeoutMs, silenceMs }: DeploymentOptions) {
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
      // The probe asks for the identity several times a second, so a silent socket is a dead one.
      socketTimeout: silenceMs,
      reconnectStrategy: (retries: number) => backoffMs(retries, 50, 500),
    },
  } as const;
}

/** A write by a script, as all writes of the cache are. */
export const tryWriteCommand = (key: string): RedisArgument[] => [
  'EVAL',
  "return redis.call('SET', KEYS[1], '1', 'PX', 1000)",
  '1',
  key,
];

export type Send = (args: RedisArgument[]) => Promise<unknown>;

/** Resolves with the identity of one database of one server, which must be a master. */
export async function identifyServer(send: Send, database = 0): Promise<string> {
  const [server, replication] = await Promise.all([
    send(['INFO', 'server']),
    send(['INFO', 'replication']),
  ]);
  return identityOf(String(server), String(replication), database);
}

/** Every reply to INFO server has one of these. */
const SERVER_FIELD = /^(redis_version|run_id|tcp_port):/m;

/** Computes the identity from the replies to INFO server and INFO replication. */
function identityOf(server: string, replication: string, database: number): string {
  const field = (text: string, name: string): string =>
    new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  const role = field(replication, 'role');
  if (!SERVER_FIELD.test(server) || role === '')
    throw new MisdeliveredError('the reply does not answer INFO');
  if (role !== 'master') throw new Error(`the Redis server is a ${role}, not a master`);
  return createHash('sha1')
    .update(
      `${field(server, 'run_id')} ${field(replication, 'master_replid')}${database === 0 ? '' : ` ${database}`}`,
    )
    .digest('hex')
    .slice(0, 12);
}
