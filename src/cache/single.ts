import { createClient } from 'redis';
import {
  COMMAND_OPTIONS,
  clientOptions,
  identifyServer,
  type RedisAddress,
  type Topology,
  type TopologyEvents,
  type TopologyOptions,
  tryWriteCommand,
} from './topology';

/** One server: the first of the addresses, or `address`. */
export function createSingle(
  options: TopologyOptions,
  events: TopologyEvents,
  address: RedisAddress = options.addresses.nodes[0],
): Topology {
  const common = clientOptions(options);
  const client = createClient({
    ...common,
    socket: { ...common.socket, ...address },
    database: options.addresses.database,
    commandOptions: COMMAND_OPTIONS,
  });
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
    identify: () => identifyServer((args) => client.sendCommand(args)),
    async tryWrite(key) {
      await client.sendCommand(tryWriteCommand(key));
    },
    async close() {
      client.destroy();
    },
  };
}
