import { mongoUri } from './mongo-uri';
import { flag, integer, oneOf, optional, setting, text } from './setting';

export const database = {
  uri: setting(
    'MONGODB_URI',
    optional(mongoUri()),
    undefined,
    'URI of MongoDB; unset starts an embedded database (never in production).',
    {
      secret: true,
    },
  ),
  embedded: setting(
    'EMBEDDED_DB',
    oneOf('auto', 'engine', 'mongod', 'off'),
    'auto',
    'Embedded database when MONGODB_URI is unset: auto, engine (from npm), mongod (an installed binary), off.',
  ),
  dataDir: setting(
    'DATA_DIR',
    text(),
    './data',
    'Folder of the embedded database and development keys; it is made where it is missing.',
  ),
  poolMax: setting(
    'DB_POOL_MAX',
    integer(1, 1000),
    '20',
    'Maximum number of connections per worker.',
  ),
  poolMin: setting(
    'DB_POOL_MIN',
    integer(0, 1000),
    '1',
    'Minimum number of connections per worker.',
  ),
  serverSelectionTimeoutMs: setting(
    'DB_SERVER_SELECTION_TIMEOUT_MS',
    integer(100, 60_000),
    '2000',
    'Longest wait for a usable server, in ms.',
  ),
  operationTimeoutMs: setting(
    'DB_OPERATION_TIMEOUT_MS',
    integer(100, 60_000),
    '2000',
    'Longest time of one operation (maxTimeMS), in ms.',
  ),
  connectWaitMs: setting(
    'DB_CONNECT_WAIT_MS',
    integer(100, 600_000),
    '30000',
    'How long a starting worker waits for the database, in ms.',
  ),
  migrateOnStart: setting(
    'MIGRATE_ON_START',
    flag(),
    'true',
    'Whether a start creates indexes and migrates documents; else run `npm run migrate -- up` before.',
  ),
  readPreference: setting(
    'DB_READ_PREFERENCE',
    oneOf('primary', 'primaryPreferred'),
    'primary',
    'Read preference; a weaker one would break cache coherence.',
  ),
} as const;
