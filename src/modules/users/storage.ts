import type { Config } from '../../kernel/config/config';
import { createPolicy } from '../../kernel/permissions';
import type { ModuleStorage } from '../../platform/module';
import type { IndexedCollection } from '../../platform/mongo/indexed-collection';
import { indexedMetadata } from './metadata/indexed';
import { userMigrations } from './migrations';
import { createUserModel, userIndexes } from './model';
import { userQueryShapes } from './query-shapes';
import { warnOfUnknownRoles } from './unknown-roles';

const withMetadataIndexes = (config: Config): IndexedCollection => ({
  ...userIndexes,
  indexes: [...userIndexes.indexes, ...indexedMetadata(config).map(({ index }) => index)],
});

export const usersStorage: ModuleStorage = {
  indexes: (config) => [withMetadataIndexes(config)],
  queryShapes: (connection, options) => userQueryShapes(createUserModel(connection), options),
  migrations: userMigrations,
  check: ({ auth, database }, connection, log) =>
    warnOfUnknownRoles(createUserModel(connection), createPolicy(auth.roles).roles, log, {
      timeoutMs: database.operationTimeoutMs,
    }),
};
