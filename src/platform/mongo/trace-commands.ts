import type { Connection } from 'mongoose';
import type { Span, Tracing } from '../telemetry/tracing';

/**
 * Spans of MongoDB's commands, by the driver's events (needs `monitorCommands`). The driver emits
 * them within the async context of the operation, so the active span is the one that asked. Of a
 * command only its name and collection are recorded, never its values.
 */
export function traceCommands(connection: Connection, tracing: Tracing): void {
  const client = connection.getClient();
  /** By the driver's request id, which is unique in this process. */
  const running = new Map<number, Span>();
  client.on('commandStarted', ({ requestId, commandName, command, databaseName, address }) => {
    const collection = collectionOf(commandName, command);
    const { hostname, port } = new URL(`mongodb://${address}`);
    const span = tracing.child(
      collection === undefined ? commandName : `${commandName} ${collection}`,
      {
        'db.system.name': 'mongodb',
        'db.namespace': databaseName,
        'db.operation.name': commandName,
        ...(collection === undefined ? {} : { 'db.collection.name': collection }),
        'server.address': decodeURIComponent(hostname),
        ...(port === '' ? {} : { 'server.port': Number(port) }),
      },
      'client',
    );
    if (span !== undefined) running.set(requestId, span);
  });
  client.on('commandSucceeded', ({ requestId }) => {
    running.get(requestId)?.end();
    running.delete(requestId);
  });
  client.on('commandFailed', ({ requestId, failure }) => {
    const span = running.get(requestId);
    running.delete(requestId);
    if (span === undefined) return;
    const { code } = failure as { code?: unknown };
    if (typeof code === 'number') span.set({ 'db.response.status_code': String(code) });
    span.fail(failure.name);
    span.end();
  });
}

function collectionOf(name: string, command: Readonly<Record<string, unknown>>) {
  const named = name === 'getMore' ? command['collection'] : command[name];
  return typeof named === 'string' ? named : undefined;
}
