import type { mongo } from 'mongoose';

/**
 * A change of the form of stored documents (docs/adr/0028-migrations.md). It runs while other
 * processes read and write the collection, those of the version before among them.
 */
export interface Migration {
  /** NNNN-words: the order, over all modules. Never changed once released. */
  readonly id: string;
  readonly collection: string;
  /** Matches the documents that still have the old form. No document matches after `change`. */
  readonly outdated: mongo.Document;
  /** An update pipeline, or a function where the database cannot compute the new form. */
  readonly change: readonly mongo.Document[] | Conversion;
  /**
   * Id of an earlier migration: versions that do not know it cannot use the database after this
   * one, and refuse to start. For a migration that removes the old form.
   */
  readonly needs?: string;
}

export interface Conversion {
  /** Fields that `convert` reads: nothing is written if one of them has changed meanwhile. */
  readonly reads: readonly string[];
  convert(document: mongo.Document): mongo.UpdateFilter<mongo.Document>;
}

export const isConversion = (change: Migration['change']): change is Conversion =>
  'convert' in change;

const FORM = /^\d{4}-[a-z0-9-]{1,60}$/;

/** In their order. Throws when two have the same number, or an id has another form. */
export function inOrder(migrations: readonly Migration[]): readonly Migration[] {
  const sorted = [...migrations].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const [index, { id, needs }] of sorted.entries()) {
    if (!FORM.test(id)) throw new Error(`migration id ${id} does not match ${FORM}`);
    const before = sorted.slice(0, index).map((one) => one.id);
    if (before.some((one) => one.slice(0, 4) === id.slice(0, 4)))
      throw new Error(`two migrations have the number ${id.slice(0, 4)}`);
    if (needs !== undefined && !before.includes(needs))
      throw new Error(`migration ${id} needs ${needs}, which is not before it`);
  }
  return sorted;
}
