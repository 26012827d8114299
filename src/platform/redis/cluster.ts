import { createCluster } from 'redis';
import {
  COMMAND_OPTIONS,
  clientOptions,
  type Deployment,
  type DeploymentEvents,
  type DeploymentOptions,
  identifyServer,
  type RedisArgument,
  tryWriteCommand,
} from './deployment';
import { SLOTS, slotOf } from './slots';

const REFRESH_MS = 500;
/** Errors of a server whose slots or role are no longer what the client knows. */
const MOVED = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|READONLY)/;

/**
 * node-redis' Cluster client knows which master has which slot. Each of our commands concerns one
 * slot and goes directly to that master's client: the Cluster client's own routing would split
 * MGET, and costs as much again as the command.
 */
export function createClusterDeployment(
  options: DeploymentOptions,
  events: DeploymentEvents,
): Deployment {
  const common = clientOptions(options);
  const open = () =>
    createCluster({
      RESP: 2,
      rootNodes: options.addresses.nodes.map((node) => ({
        ...common,
        socket: { ...common.socket, ...node },
      })),
      defaults: common,
      topologyRefreshOnReconnectionAttemptStrategy: REFRESH_MS,
    });
  let cluster = open();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let refreshing = false;

  function connect(): void {
    const made = cluster;
    for (const event of ['node-ready', 'node-disconnect', 'node-reconnecting'])
      made.on(event, () => made === cluster && events.changed());
    for (const event of ['error', 'node-error'])
      made.on(event, (error: unknown) => made === cluster && failed(error));
    keepConnecting(made);
  }

  function keepConnecting(made: typeof cluster): void {
    made.connect().catch((error: unknown) => {
      events.fault(error);
      if (!closed && made === cluster) timer = setTimeout(() => keepConnecting(made), REFRESH_MS);
    });
  }

  /** node-redis throws a TypeError for a reply that no command had asked for. */
  function failed(error: unknown): void {
    events.fault(error);
    if (error instanceof TypeError) events.misdelivered();
  }

  function reset(): void {
    clearTimeout(timer);
    const left = cluster;
    cluster = open();
    if (left.isOpen) left.destroy();
    events.changed();
    connect();
  }

  /**
   * Makes the Cluster client read the slots again: it does so for a command that is redirected.
   */
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

  /** One key for each master, found by trial. */
  function keysOfMasters(name: string): string[] {
    const wanted = new Set(cluster.masters.map(({ address }) => address));
    const keys: string[] = [];
    for (let i = 0; i < SLOTS && wanted.size > 0; i += 1) {
      const key = `${name}:${i}`;
      const address = cluster.slots[slotOf(key)]?.master.address;
      if (address !== undefined && wanted.delete(address)) keys.push(key);
    }
    if (wanted.size > 0 || keys.length === 0)
      throw new Error('the slots of the Redis Cluster are not all known');
    return keys;
  }

  return {
    start: connect,
    reset,
    get connected() {
      return (
        cluster.masters.length > 0 &&
        cluster.masters.every(({ client }) => client?.isReady === true)
      );
    },
    send,
    async identify() {
      const keys = keysOfMasters('cache:probe');
      const identities = await Promise.all(
        keys.map((key) =>
          identifyServer((args) => masterOf(key).sendCommand(args, COMMAND_OPTIONS)).catch(
            (error: unknown) => {
              refresh(key);
              throw error;
            },
          ),
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
