import type { Connection, mongo } from 'mongoose';

/** The commands that a service sends to MongoDB, by the operations during which it sends them. */
export interface WatchedCommands {
  /** Sends a request with this X-Request-Id, one at a time. */
  during<T>(operation: string, send: (requestId: string) => Promise<T>): Promise<T>;
  /** Operations of which at least one command carried the id of its request. */
  readonly withId: ReadonlySet<string>;
  /** `command collection` of the commands that carried none while a request was under way. */
  readonly withoutId: ReadonlySet<string>;
  /** Comments that are no id of a request under way. */
  readonly foreign: ReadonlySet<string>;
}

export function watchCommands(connection: Connection): WatchedCommands {
  const withId = new Set<string>();
  const withoutId = new Set<string>();
  const foreign = new Set<string>();
  let sent = 0;
  let current: { readonly operation: string; readonly id: string } | undefined;

  connection.getClient().on('commandStarted', (event: mongo.CommandStartedEvent) => {
    const { commandName, command } = event;
    const comment = command['comment'] as unknown;
    if (comment === undefined && current !== undefined)
      withoutId.add(`${commandName} ${command[commandName]}`);
    if (comment === undefined) return;
    if (current !== undefined && comment === current.id) withId.add(current.operation);
    else foreign.add(`${comment}: ${commandName} ${command[commandName]}`);
  });

  return {
    withId,
    withoutId,
    foreign,
    async during(operation, send) {
      sent += 1;
      const id = `watched-${sent}`;
      current = { operation, id };
      try {
        return await send(id);
      } finally {
        current = undefined;
      }
    },
  };
}
