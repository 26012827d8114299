import { withDatabase } from '../../src/app/cli/database';
import { UsageError } from '../../src/app/cli/run';
import type { Config } from '../../src/kernel/config/config';
import { ConfigError, loadConfig } from '../../src/kernel/config/config';
import { describeMongoUri, isLocalMongo } from '../../src/kernel/config/mongo-uri';
import type { Database } from '../../src/platform/mongo/connection';
import { INDEX_BUILD_TIMEOUT_MS } from '../../src/platform/mongo/indexes';
import { isProduction } from '../../src/platform/mongo/production-mark';
import { createLogger, type Logger } from '../../src/platform/telemetry/logger';
import { RefusedError } from '../staging';
import type { Options } from './options';

/** The target's database and settings. */
export interface Deployment {
  readonly config: Config;
  readonly database: Database;
  readonly log: Logger;
  /** The database in messages, without its password. */
  readonly where: string;
}

type Command = Exclude<Options, { readonly command: 'help' }>;

/**
 * Opens the target's database by the settings of this environment. Refuses production by these
 * settings, which a shell may lack, and by the mark that a service of production leaves in its
 * database: seeded users have a known password.
 */
export async function withDeployment<T>(
  command: Command,
  work: (deployment: Deployment) => Promise<T>,
): Promise<T> {
  if (process.env['NODE_ENV'] === 'production') throw refusal();
  const loaded = loadConfig();
  if (loaded.server.environment === 'production') throw refusal();
  requireOwned(command, loaded.database.uri);
  const database = { ...loaded.database, operationTimeoutMs: INDEX_BUILD_TIMEOUT_MS };
  const config = { ...loaded, database };
  const log = createLogger({ level: 'warn', name: 'loadtest' }, process.stderr);
  return withDatabase(config, log, async (opened, where) => {
    // Users that were seeded by mistake may always be removed.
    const isRemoval = command.command === 'seed' && command.remove;
    const isMarked = await isProduction(opened.connection, loaded.database.operationTimeoutMs);
    if (isMarked && !isRemoval)
      throw new RefusedError(
        `A service with NODE_ENV=production uses ${where}, or did: it is left alone. (In a copy of it, remove the document of the collection "deployment".)`,
      );
    return work({ config, database: opened, log, where });
  });
}

/** The other commands name a target, and are asked the same about that. */
function requireOwned(command: Command, uri: string | undefined): void {
  if (command.command !== 'seed' || command.isOwned) return;
  if (uri === undefined || isLocalMongo(uri)) return;
  throw new UsageError(
    `${describeMongoUri(uri)} (MONGODB_URI) is not on this machine: seed writes users with a known password into it. Give --i-own-this-database if it is that of a staging of yours.`,
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
