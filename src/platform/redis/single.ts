import { createClient } from 'redis';
import {
  COMMAND_OPTIONS,
  clientOptions,
  type Deployment,
  type DeploymentEvents,
  type DeploymentOptions,
  identifyServer,
  type RedisAddress,
  tryWriteCommand,
} from './deployment';

/** One server: the first of the configured addresses, or `address`. */
export function createSingleDeployment(
  options: DeploymentOptions,
  events: DeploymentEvents,
  address: RedisAddress = options.addresses.nodes[0],
): Deployment {
  const common = clientOptions(options);
  const open = () =>
    createClient({
      ...common,
      socket: { ...common.socket, ...address },
      database: options.addresses.database,
      commandOptions: COMMAND_OPTIONS,
    });
  let client = open();

  function connect(): void {
    const made = client;
    made.on('error', (error: unknown) => {
      if (made !== client) return;
      events.changed();
      events.fault(error);
      // Still ready: the error is not the end of the socket.
      if (made.isReady) events.misdelivered();
    });
    made.on('ready', () => made === client && events.changed());
    made.connect().catch((error: unknown) => events.fault(error));
  }

  return {
    start: connect,
    reset() {
      const left = client;
      client = open();
      left.destroy();
      connect();
    },
    get connected() {
      return client.isReady;
    },
    send: (_key, args) => client.sendCommand(args),
    identify: () => identifyServer((args) => client.sendCommand(args), options.addresses.database),
    async tryWrite(key) {
      await client.sendCommand(tryWriteCommand(key));
    },
    async close() {
      client.destroy();
    },
  };
}
