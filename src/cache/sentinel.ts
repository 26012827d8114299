import { createSentinel } from 'redis';
import { createSingle } from './single';
import { clientOptions, type RedisAddress, type Topology, type TopologyEvents, type TopologyOptions } from './topology';

export interface SentinelOptions extends TopologyOptions {
  /** What the Sentinels call the master. */
  readonly name: string;
  readonly sentinelPassword: string | undefined;
}

const SCAN_MS = 1000;
const RETRY_MS = 500;

/**
 * node-redis' Sentinel client says who the master is; the commands go over a plain client of our own to it. The Sentinel
 * client's own commands each take a connection out of a pool, which ends pipelining.
 */
export function createSentinelTopology(options: SentinelOptions, events: TopologyEvents): Topology {
  const common = clientOptions(options);
  const { username: _user, password: _password, ...withoutLogin } = common;
  const sentinel = createSentinel({
    name: options.name,
    sentinelRootNodes: [...options.addresses.nodes],
    RESP: 2,
    nodeClientOptions: common,
    sentinelClientOptions: { ...withoutLogin, ...(options.sentinelPassword === undefined ? {} : { password: options.sentinelPassword }) },
    scanInterval: SCAN_MS,
  });
  let master: { readonly address: RedisAddress; readonly topology: Topology } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function follow(address: RedisAddress | undefined): void {
    if (closed || address === undefined) return;
    if (master?.address.host === address.host && master.address.port === address.port) return;
    master?.topology.close().catch((error: unknown) => events.fault(error));
    const { host, port } = address;
    master = { address: { host, port }, topology: createSingle(options, events, { host, port }) };
    master.topology.start();
    events.changed();
  }

  function connect(): void {
    sentinel.connect().then(
      () => follow(sentinel.getMasterNode()),
      (error: unknown) => {
        events.fault(error);
        if (!closed) timer = setTimeout(connect, RETRY_MS);
      },
    );
  }

  sentinel.on('error', (error: unknown) => events.fault(error));
  sentinel.on('topology-change', () => follow(sentinel.getMasterNode()));

  const theMaster = (): Topology => {
    if (master === undefined) throw new Error('the Redis master is not known yet');
    return master.topology;
  };

  return {
    start: connect,
    get connected() {
      follow(sentinel.getMasterNode());
      return master?.topology.connected ?? false;
    },
    send: (key, args) =>
      master === undefined ? Promise.reject(new Error('the Redis master is not known yet')) : master.topology.send(key, args),
    identify: async () => theMaster().identify(),
    tryWrite: async (key) => theMaster().tryWrite(key),
    async close() {
      closed = true;
      clearTimeout(timer);
      await master?.topology.close();
      if (sentinel.isOpen) await sentinel.destroy();
    },
  };
}
