import type { mongo } from 'mongoose';
import type { Config } from '../../../kernel/config/config';

/** A member of metadata that users can be listed by. */
export interface IndexedPath {
  readonly member: 'user_metadata' | 'app_metadata';
  readonly keys: readonly string[];
  /** The query parameter of the list: `app_metadata.plan`. */
  readonly parameter: string;
  /** In the stored document: `appMetadata.plan`. */
  readonly field: string;
  readonly index: mongo.IndexDescription & { readonly name: string };
}

const FIELD = { user_metadata: 'userMetadata', app_metadata: 'appMetadata' } as const;

type Settings = { readonly metadata: Pick<Config['metadata'], 'indexed'> };

/**
 * The members named by METADATA_INDEXED. Each has one index, in the order of `created_at`, of the
 * users that have the member.
 */
export const indexedMetadata = ({ metadata }: Settings): IndexedPath[] =>
  metadata.indexed.map(({ member, keys, text }) => {
    const field = [FIELD[member], ...keys].join('.');
    return {
      ...{ member, keys, field },
      parameter: text,
      index: {
        key: { [field]: 1, createdAt: 1, _id: 1 },
        name: `by_${text}_created`,
        partialFilterExpression: { [field]: { $exists: true } },
      },
    };
  });
