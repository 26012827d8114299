import type { Connection, mongo } from 'mongoose';

/** The commands that a service sends to MongoDB, by the operations during which it sends them. */
export interface WatchedCommands {
  /** Sends a request with this X-Request-Id, one at a time. */
  during<T>(operation: string, send: (requestId: string) => Promise<T>): Promise<T>;
  /** Operations of which at least one command carried the id of its request. */
  readonly withId: ReadonlySet<string>;
  /** `command collection` of the commands that carried none while a request was under way. */
  readonly withoutId: ReadonlySet<string>;
  /** `operation: command collection` of those that carried the id of an earlier request. */
  readonly late: ReadonlySet<string>;
  /** Comments that are no id of a request. */
  readonly foreign: ReadonlySet<string>;
}

export function watchCommands(connection: Connection): WatchedCommands {
  const withId = new Set<string>();
  const withoutId = new Set<string>();
  const late = new Set<string>();
  const foreign = new Set<string>();
  const operations = new Map<unknown, string>();
  /** The id of the request under way. */
  let current: string | undefined;

  connection.getClient().on('commandStarted', (event: mongo.CommandStartedEvent) => {
    const { commandName, command } = event;
    const comment = command['comment'] as unknown;
    if (comment === undefined && current !== undefined)
      withoutId.add(`${commandName} ${command[commandName]}`);
    if (comment === undefined) return;
    const operation = operations.get(comment);
    const named = `${operation ?? comment}: ${commandName} ${command[commandName]}`;
    if (operation === undefined) foreign.add(named);
    else if (comment === current) withId.add(operation);
    else late.add(named);
  });

  return {
    withId,
    withoutId,
    late,
    foreign,
    async during(operation, send) {
      const id = `watched-${operations.size + 1}`;
      operations.set(id, operation);
      current = id;
      try {
        return await send(id);
      } finally {
        current = undefined;
      }
    },
  };
}
