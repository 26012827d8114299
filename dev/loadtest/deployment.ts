import { withDatabase } from '../../src/app/cli/database';
import type { Config } from '../../src/kernel/config/config';
import { ConfigError, loadConfig } from '../../src/kernel/config/config';
import type { Database } from '../../src/platform/mongo/connection';
import { INDEX_BUILD_TIMEOUT_MS } from '../../src/platform/mongo/indexes';
import { createLogger, type Logger } from '../../src/platform/telemetry/logger';

/** The target's database and settings. */
export interface Deployment {
  readonly config: Config;
  readonly database: Database;
  readonly log: Logger;
  /** The database in messages, without its password. */
  readonly where: string;
}

/**
 * Opens the target's database by the settings of this environment. Refuses production: seeded users
 * have a known password, and one of them is an administrator.
 */
export async function withDeployment<T>(work: (deployment: Deployment) => Promise<T>): Promise<T> {
  if (process.env['NODE_ENV'] === 'production') throw refusal();
  const loaded = loadConfig();
  if (loaded.server.environment === 'production') throw refusal();
  const database = { ...loaded.database, operationTimeoutMs: INDEX_BUILD_TIMEOUT_MS };
  const config = { ...loaded, database };
  const log = createLogger({ level: 'warn', name: 'loadtest' }, process.stderr);
  return withDatabase(config, log, (opened, where) =>
    work({ config, database: opened, log, where }),
  );
}

const refusal = () =>
  new ConfigError([
    {
      env: 'NODE_ENV',
      message:
        'is production: users with a known password and tokens without a login are for development and staging',
    },
  ]);
