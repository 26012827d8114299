import type { IndexDescription } from 'mongodb';

/** The indexes of a collection. */
export interface IndexedCollection {
  readonly collection: string;
  readonly indexes: readonly IndexDescription[];
}
