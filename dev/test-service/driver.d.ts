/** The driver's connection: the one place that every command passes through. It is not in its types. */
declare module 'mongodb/lib/cmap/connection' {
  type Document = Record<string, unknown>;
  export class Connection {
    prepareCommand(database: string, command: Document, options: unknown): unknown;
  }
}
