import type { ModuleStorage } from '../../platform/module';
import { authIndexes } from './indexes';
import { checkKeys } from './keys/open-keyring';
import { checkCompromisedPasswords } from './passwords/compromised/compromised-passwords';
import { authQueryShapes } from './query-shapes';

export const authStorage: ModuleStorage = {
  indexes: () => authIndexes,
  queryShapes: (connection) => authQueryShapes(connection),
  async check(config, connection) {
    checkCompromisedPasswords(config);
    await checkKeys(config, connection);
  },
};
