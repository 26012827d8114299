import type { ModuleStorage } from '../../platform/module';
import { authIndexes } from './indexes';
import { checkKeys } from './keys/open-keyring';
import { authQueryShapes } from './query-shapes';

export const authStorage: ModuleStorage = {
  indexes: () => authIndexes,
  queryShapes: (connection) => authQueryShapes(connection),
  check: checkKeys,
};
