import { createHash } from 'node:crypto';
import { createClient, RESP_TYPES } from 'redis';
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

export interface TopologyOptions {
  readonly hosts: readonly string[];
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
}

export const BUFFERS = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/** What every node-redis client of ours has in common. The offline queue is off: a command that cannot be sent fails now. */
export function clientOptions(options: TopologyOptions) {
  return {
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    socket: {
      connectTimeout: options.connectTimeoutMs,
      // The link asks for the identity several times a second, so a silent socket is a dead one.
      socketTimeout: options.silenceMs,
      reconnectStrategy: (retries: number) => backoffMs(retries, 50, 1000),
    },
  } as const;
}

/** From the answers to INFO server and INFO replication. */
export function identityOf(server: string, replication: string): string {
  const field = (text: string, name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  const role = field(replication, 'role');
  if (role !== 'master') throw new Error(`the Redis server is a ${role === '' ? 'server of unknown role' : role}, not a master`);
  return createHash('sha1')
    .update(`${field(server, 'run_id')} ${field(replication, 'master_replid')}`)
    .digest('hex')
    .slice(0, 12);
}

export function createSingle(options: TopologyOptions, events: TopologyEvents): Topology {
  const client = createClient({ ...clientOptions(options), url: options.hosts[0] ?? '', commandOptions: { typeMapping: BUFFERS } });
  client.on('error', (error: unknown) => {
    events.changed();
    events.fault(error);
  });
  client.on('ready', () => events.changed());
  return {
    start() {
      client.connect().catch((error: unknown) => events.fault(error));
    },
    get connected() {
      return client.isReady;
    },
    send: (_key, args) => client.sendCommand(args),
    async identify() {
      const [server, replication] = await Promise.all([
        client.sendCommand(['INFO', 'server']),
        client.sendCommand(['INFO', 'replication']),
      ]);
      return identityOf(String(server), String(replication));
    },
    async tryWrite(key) {
      await client.sendCommand(['SET', key, '1', 'PX', '1000']);
    },
    async close() {
      client.destroy();
    },
  };
}
