import type { Connection } from 'mongoose';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Metrics } from '../telemetry/metrics';

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * Metrics from the driver's events about its pool and its commands (needs `monitorCommands`).
 */
export function exposeDatabase(connection: Connection, metrics: Metrics): void {
  const client = connection.getClient();
  const registers = [metrics];
  const durations = new Histogram({
    name: 'mongodb_command_duration_seconds',
    help: 'Time from sending a command to MongoDB to its answer.',
    labelNames: ['command', 'result'],
    buckets: BUCKETS,
    registers,
  });
  client.on('commandSucceeded', ({ commandName, duration }) =>
    durations.observe({ command: commandName, result: 'ok' }, duration / 1000),
  );
  client.on('commandFailed', ({ commandName, duration }) =>
    durations.observe({ command: commandName, result: 'error' }, duration / 1000),
  );

  const open = new Set<string>();
  let inUse = 0;
  let waiting = 0;
  const refused = new Counter({
    name: 'mongodb_pool_checkouts_failed_total',
    help: 'Commands that got no connection in time.',
    registers,
  });
  const nameOf = ({
    address,
    connectionId,
  }: {
    address: string;
    connectionId: number | '<monitor>';
  }) => `${address} ${connectionId}`;
  client.on('connectionCreated', (event) => open.add(nameOf(event)));
  client.on('connectionClosed', (event) => open.delete(nameOf(event)));
  client.on('connectionCheckOutStarted', () => {
    waiting += 1;
  });
  client.on('connectionCheckOutFailed', () => {
    waiting -= 1;
    refused.inc();
  });
  client.on('connectionCheckedOut', (event) => {
    // A connection that was created before this listener appears with its first use.
    open.add(nameOf(event));
    waiting -= 1;
    inUse += 1;
  });
  client.on('connectionCheckedIn', () => {
    inUse -= 1;
  });
  new Gauge({
    name: 'mongodb_pool_connections',
    help: 'Connections to MongoDB in use and idle, and commands that wait for one.',
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'in_use' }, inUse);
      this.set({ state: 'idle' }, Math.max(0, open.size - inUse));
      this.set({ state: 'waiting' }, waiting);
    },
  });
}
