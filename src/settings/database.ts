import { integer, oneOf, optional, setting, text, url } from './setting';

export const database = {
  uri: setting(
    'MONGODB_URI',
    optional(url('mongodb', 'mongodb+srv')),
    undefined,
    'MongoDB to use; unset starts an embedded one (never in production).',
    { secret: true },
  ),
  embedded: setting(
    'EMBEDDED_DB',
    oneOf('auto', 'engine', 'mongod', 'off'),
    'auto',
    'Embedded database when MONGODB_URI is unset: auto, engine (from npm), mongod (a binary at hand), off.',
  ),
  dataDir: setting('DATA_DIR', text(), './data', 'Folder of the embedded database and development keys.'),
  poolMax: setting('DB_POOL_MAX', integer(1, 1000), '20', 'Most connections per worker.'),
  poolMin: setting('DB_POOL_MIN', integer(0, 1000), '1', 'Connections kept open per worker.'),
  serverSelectionTimeoutMs: setting(
    'DB_SERVER_SELECTION_TIMEOUT_MS',
    integer(100, 60_000),
    '2000',
    'Longest wait for a usable server, in ms.',
  ),
  operationTimeoutMs: setting('DB_OPERATION_TIMEOUT_MS', integer(100, 60_000), '2000', 'Longest time of one operation (maxTimeMS), in ms.'),
  connectWaitMs: setting('DB_CONNECT_WAIT_MS', integer(100, 600_000), '30000', 'How long a starting worker waits for the database, in ms.'),
  readPreference: setting(
    'DB_READ_PREFERENCE',
    oneOf('primary', 'primaryPreferred'),
    'primary',
    'Where reads go; anything weaker than these would break the coherence claim.',
  ),
} as const;
