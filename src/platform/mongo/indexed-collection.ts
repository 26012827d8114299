import type { mongo } from 'mongoose';

/** The indexes of a collection. */
export interface IndexedCollection {
  readonly collection: string;
  readonly indexes: readonly mongo.IndexDescription[];
}
