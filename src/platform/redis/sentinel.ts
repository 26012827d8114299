import { createSentinel } from 'redis';
import {
  clientOptions,
  type Deployment,
  type DeploymentEvents,
  type DeploymentOptions,
  type RedisAddress,
} from './deployment';
import { createSingleDeployment } from './single';

export interface SentinelOptions extends DeploymentOptions {
  /** The master's name in the Sentinels' configuration. */
  readonly name: string;
  readonly sentinelPassword: string | undefined;
}

const SCAN_MS = 1000;
const RETRY_MS = 500;

/**
 * node-redis' Sentinel client tells which server is the master; commands go to it over a plain
 * client of ours. The Sentinel client itself takes a connection out of a pool for each command,
 * which ends pipelining.
 */
export function createSentinelDeployment(
  options: SentinelOptions,
  events: DeploymentEvents,
): Deployment {
  const common = clientOptions(options);
  const { username: _user, password: _password, ...withoutLogin } = common;
  const sentinel = createSentinel({
    name: options.name,
    sentinelRootNodes: [...options.addresses.nodes],
    RESP: 2,
    nodeClientOptions: common,
    sentinelClientOptions: {
      ...withoutLogin,
      ...(options.sentinelPassword === undefined ? {} : { password: options.sentinelPassword }),
    },
    scanInterval: SCAN_MS,
  });
  let master: { readonly address: RedisAddress; readonly deployment: Deployment } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function follow(address: RedisAddress | undefined): void {
    if (closed || address === undefined) return;
    if (master?.address.host === address.host && master.address.port === address.port) return;
    master?.deployment.close().catch((error: unknown) => events.fault(error));
    const { host, port } = address;
    master = {
      address: { host, port },
      deployment: createSingleDeployment(options, events, { host, port }),
    };
    master.deployment.start();
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

  const theMaster = (): Deployment => {
    if (master === undefined) throw new Error('the Redis master is not known yet');
    return master.deployment;
  };

  return {
    start: connect,
    get connected() {
      follow(sentinel.getMasterNode());
      return master?.deployment.connected ?? false;
    },
    send: (key, args) =>
      master === undefined
        ? Promise.reject(new Error('the Redis master is not known yet'))
        : master.deployment.send(key, args),
    reset: () => master?.deployment.reset(),
    identify: async () => theMaster().identify(),
    tryWrite: async (key) => theMaster().tryWrite(key),
    async close() {
      closed = true;
      clearTimeout(timer);
      await master?.deployment.close();
      if (sentinel.isOpen) await sentinel.destroy();
    },
  };
}
