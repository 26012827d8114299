'use strict';

/**
 * PM2 as the primary: `npm run build && npx pm2 start ecosystem.config.js`. The same app and the same promises as
 * `npm start`: a worker is ready before another is stopped, and drains before it ends. Settings come from the
 * environment or `.env`, as always. Without MONGODB_URI a second app runs the embedded database of development.
 */
const { config } = require('dotenv');

const file = {};
config({ quiet: true, path: `${__dirname}/.env`, processEnv: file });
const setting = (name, fallback) => process.env[name] || file[name] || fallback;

/** One worker per core that may really be used; PM2's own "max" does not see a container's CPU quota. */
function instances() {
  const asked = setting('WORKERS', 'auto');
  if (asked !== 'auto') return Number(asked);
  try {
    return require('./dist/src/cluster/cores').workerCount('auto');
  } catch {
    return 'max';
  }
}

const heapLimitMb = Number(setting('WORKER_HEAP_LIMIT_MB', 512));

/** As our own primary starts its workers. Before the first build there is nothing to start anyway. */
function nodeArgs() {
  try {
    return require('./dist/src/cluster/worker-flags').workerFlags({ heapLimitMb });
  } catch {
    return [];
  }
}

const shared = {
  cwd: __dirname,
  // Until `process.send('ready')`; a reload stops an old worker only then.
  wait_ready: true,
  // PM2's default gives up for good after 16 quick exits.
  exp_backoff_restart_delay: 100,
  merge_logs: true,
};

const api = {
  ...shared,
  name: setting('PM2_APP_NAME', 'api'),
  script: 'dist/src/index.js',
  exec_mode: 'cluster',
  instances: instances(),
  node_args: nodeArgs(),
  // PM2 takes a worker for ready when this has passed; one that is not ready by then has ended itself before.
  listen_timeout: Number(setting('WORKER_READY_TIMEOUT_MS', 60_000)) + 15_000,
  // From SIGINT to SIGKILL: the worker's own deadline for its drain, and a little more.
  kill_timeout: Number(setting('SHUTDOWN_DELAY_MS', 0)) + Number(setting('SHUTDOWN_DEADLINE_MS', 10_000)) + 2000,
  // Resident memory: the heap's limit, and what Node holds outside of it.
  max_memory_restart: `${heapLimitMb + 256}M`,
};

const database = {
  ...shared,
  name: `${api.name}-database`,
  script: 'dist/src/embedded/main.js',
  exec_mode: 'fork',
  instances: 1,
  // The first start may have to download.
  listen_timeout: 300_000,
  kill_timeout: 15_000,
};

module.exports = { apps: setting('MONGODB_URI') ? [api] : [database, api] };
