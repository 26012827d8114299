'use strict';

/**
 * Runs the service under PM2: `npm run build && npx pm2 start ecosystem.config.js`. The same service
 * as `npm start`, with the same promises: a worker is ready before another one is stopped, and
 * drains before it exits. Settings come from the environment or `.env`. Without MONGODB_URI a second
 * app runs the embedded database for development.
 */
const { config } = require('dotenv');

const { environmentNames, workerCount, workerFlags } = compiled();

/** The build of the service: PM2 would start it from there anyway. */
function compiled() {
  try {
    return require('./dist/pm2.js');
  } catch (error) {
    throw new Error('The service is not built: run "npm run build" first', { cause: error });
  }
}

const file = {};
config({ quiet: true, path: `${__dirname}/.env`, processEnv: file });

/** From PM2's command line: `--env production`, and whether this is a reload. */
const words = process.argv.slice(2);
const environment = words.flatMap((word, i) =>
  word === '--env' ? (words[i + 1] ?? []) : (/^--env=(.+)$/.exec(word)?.[1] ?? []),
)[0];
const isReload = words.some((word) => /^(startOr(Graceful)?|graceful)?reload$/i.test(word));

const shell = environment === undefined ? process.env : { ...process.env, NODE_ENV: environment };
const setting = (name, fallback) => shell[name] || file[name] || fallback;
/**
 * A value that is no number is reported by the workers, with every other fault of the settings: they
 * exit with 78 and are not restarted.
 */
const number = (name, fallback) =>
  /^\d+$/.test(setting(name, '')) ? Number(setting(name)) : fallback;

/** One worker per core that may really be used: PM2's "max" ignores a container's CPU quota. */
const workers =
  setting('WORKERS', 'auto') === 'auto' ? workerCount('auto') : Math.max(1, number('WORKERS', 1));
const heapLimitMb = number('WORKER_HEAP_LIMIT_MB', 512);

/**
 * The settings of this shell, for both apps: PM2's daemon would mix in those of the shell that
 * started the daemon.
 */
const settings = Object.fromEntries(
  environmentNames().flatMap((name) => (shell[name] === undefined ? [] : [[name, shell[name]]])),
);

const shared = {
  cwd: __dirname,
  env: {
    CLUSTER_SETTINGS: JSON.stringify(settings),
    CLUSTER_WORKERS_WANTED: String(workers),
  },
  // Until `process.send('ready')`; a reload stops an old worker only then.
  wait_ready: true,
  // Without it PM2 gives up for good after 16 quick exits.
  exp_backoff_restart_delay: 100,
  // Settings or a database that need mending first (docs/operate.md).
  stop_exit_codes: [65, 78],
  merge_logs: true,
};

const api = {
  ...shared,
  name: setting('PM2_APP_NAME', 'api'),
  script: 'dist/main.js',
  exec_mode: 'cluster',
  instances: workers,
  // As our own primary starts its workers.
  node_args: workerFlags({ heapLimitMb }),
  // PM2 takes a worker for ready when this has passed; a worker that is not ready by then has
  // exited before.
  listen_timeout: number('WORKER_READY_TIMEOUT_MS', 60_000) + 15_000,
  // From SIGINT to SIGKILL: the worker's own deadline for its drain, and 2 s more.
  kill_timeout: number('SHUTDOWN_DELAY_MS', 0) + number('SHUTDOWN_DEADLINE_MS', 10_000) + 2000,
  // Resident memory: the heap's limit, and 256 MiB outside of the heap.
  max_memory_restart: `${heapLimitMb + 256}M`,
};

const database = {
  ...shared,
  name: `${api.name}-database`,
  script: 'dist/embedded-mongo/main.js',
  exec_mode: 'fork',
  instances: 1,
  // The first start may have to download.
  listen_timeout: 300_000,
  kill_timeout: 15_000,
};

const hasDatabase =
  setting('MONGODB_URI') || setting('MONGODB_URI_FILE') || setting('NODE_ENV') === 'production';
// A reload is for the workers only: PM2 would restart the database under them. `pm2 restart
// api-database` does that on purpose.
module.exports = { apps: hasDatabase || isReload ? [api] : [database, api] };
