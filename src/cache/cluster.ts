import { createCluster } from 'redis';
import { SLOTS, slotOf } from './slots';
import {
  COMMAND_OPTIONS,
  clientOptions,
  identifyServer,
  type RedisArgument,
  type Topology,
  type TopologyEvents,
  type TopologyOptions,
  tryWriteCommand,
} from './topology';

const REFRESH_MS = 500;
/** A server's way to say that its slots, or its role, are no longer what we think. */
const MOVED = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|READONLY)/;

/**
 * node-redis' Cluster client knows who has which slot; our commands, all of one slot each, go straight to that master's
 * client. Its own routing would split MGET by its policies, and costs as much again as the command.
 */
export function createClusterTopology(options: TopologyOptions, events: TopologyEvents): Topology {
  const common = clientOptions(options);
  const cluster = createCluster({
    RESP: 2,
    rootNodes: options.addresses.nodes.map((node) => ({ ...common, socket: { ...common.socket, ...node } })),
    defaults: common,
    topologyRefreshOnReconnectionAttemptStrategy: REFRESH_MS,
  });
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let refreshing = false;

  for (const event of ['node-ready', 'node-disconnect', 'node-reconnecting']) cluster.on(event, () => events.changed());
  for (const event of ['error', 'node-error']) cluster.on(event, (error: unknown) => events.fault(error));

  function connect(): void {
    cluster.connect().catch((error: unknown) => {
      events.fault(error);
      if (!closed) timer = setTimeout(connect, REFRESH_MS);
    });
  }

  /** Any command that is answered with a redirection makes the Cluster client learn the slots anew. */
  function refresh(key: string): void {
    if (refreshing || closed) return;
    refreshing = true;
    cluster
      .sendCommand(key, true, ['EXISTS', key])
      .then(events.changed, events.fault)
      .finally(() => {
        refreshing = false;
      });
  }

  function masterOf(key: string) {
    const client = cluster.slots[slotOf(key)]?.master.client;
    if (client?.isReady !== true) throw new Error('the Redis master of this slot is not connected');
    return client;
  }

  async function send(key: string, args: RedisArgument[]): Promise<unknown> {
    try {
      return await masterOf(key).sendCommand(args, COMMAND_OPTIONS);
    } catch (error) {
      if (error instanceof Error && MOVED.test(error.message)) refresh(key);
      throw error;
    }
  }

  /** One key for each master, found by trying. */
  function keysOfMasters(name: string): string[] {
    const wanted = new Set(cluster.masters.map(({ address }) => address));
    const keys: string[] = [];
    for (let i = 0; i < SLOTS && wanted.size > 0; i += 1) {
      const key = `${name}:${i}`;
      const address = cluster.slots[slotOf(key)]?.master.address;
      if (address !== undefined && wanted.delete(address)) keys.push(key);
    }
    if (wanted.size > 0 || keys.length === 0) throw new Error('the slots of the Redis Cluster are not all known');
    return keys;
  }

  return {
    start: connect,
    get connected() {
      return cluster.masters.length > 0 && cluster.masters.every(({ client }) => client?.isReady === true);
    },
    send,
    async identify() {
      const keys = keysOfMasters('cache:probe');
      const identities = await Promise.all(
        keys.map((key) =>
          identifyServer((args) => masterOf(key).sendCommand(args, COMMAND_OPTIONS)).catch((error: unknown) => {
            refresh(key);
            throw error;
          }),
        ),
      );
      return identities.sort().join('');
    },
    async tryWrite(name) {
      await Promise.all(keysOfMasters(name).map((key) => send(key, tryWriteCommand(key))));
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      if (cluster.isOpen) cluster.destroy();
    },
  };
}
