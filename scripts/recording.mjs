// Records docs/pictures/first-minute.svg: the service starts, gives a first token, and loses a worker under load. What is shown is
// what was printed; long values and constant log fields are left out as `…`.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { terminalSvg } from './browser/terminal-svg.mjs';

const FILE = 'docs/pictures/first-minute.svg';
const COLUMNS = 118;
const LIMIT_MS = 180_000;
const SCENARIO = 'kill-worker';
const beganMs = performance.now();
const lines = [];
const shortened = (text) => (text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text);
function show(kind, text) {
  lines.push({ atMs: performance.now() - beganMs, kind, text: shortened(text) });
  console.log(text);
}

const folder = mkdtempSync(join(tmpdir(), 'recording-'));
const { PATH, HOME, PORT = '3000', OPS_PORT = '9464' } = process.env;
const env = { PATH, HOME, PORT, OPS_PORT, WORKERS: '2', RATE_LIMIT: 'false' };
const folders = { DATA_DIR: join(folder, 'data'), RUNTIME_DIR: join(folder, 'run') };
const running = new Set();

/** Starts a program of the repository; `seen` gets its lines. */
function start(args, seen) {
  const child = spawn(process.execPath, args, { env: { ...env, ...folders }, stdio: 'pipe' });
  running.add(child);
  let rest = '';
  const take = (text) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop();
    for (const part of parts) seen(part);
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  const ended = new Promise((done) => child.once('exit', done)).finally(() =>
    running.delete(child),
  );
  return { child, ended };
}

const limit = setTimeout(() => {
  console.error(`not recorded within ${LIMIT_MS} ms`);
  for (const child of running) child.kill('SIGKILL');
  process.exit(1);
}, LIMIT_MS);

/** The fields of a log line that say something here. */
function logLine({ msg, workerPid, workers, signal, port }) {
  const fields = { workerPid, signal: signal ?? undefined, port, workers, msg };
  return `{…,${JSON.stringify(fields).slice(1)}`;
}
const SHOWN = ['Embedded database', 'worker ready', 'listening', 'worker exited unexpectedly'];
/** Of one kind: ten kills look alike. */
const SAME_MAX = 3;

try {
  show('command', 'npm ci && npm start');
  let isReady = () => {};
  const ready = new Promise((done) => {
    isReady = done;
  });
  let readyWorkers = 0;
  const seen = new Map();
  const service = start(['dist/main.js'], (text) => {
    const entry = text.startsWith('{') ? JSON.parse(text) : { msg: text };
    if (entry.msg === 'worker ready') readyWorkers += 1;
    if (readyWorkers === 2) isReady();
    if (!SHOWN.some((begin) => entry.msg.startsWith(begin))) return;
    const times = (seen.get(entry.msg) ?? 0) + 1;
    seen.set(entry.msg, times);
    if (times > SAME_MAX) return;
    show('output', logLine({ ...entry, msg: entry.msg.replace(/, data in .*/, '') }));
  });
  await Promise.race([
    ready,
    service.ended.then((code) => Promise.reject(new Error(`ended: ${code}`))),
  ]);

  const target = `http://localhost:${PORT}`;
  const body = { name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' };
  show('command', `curl -s localhost:${PORT}/api/auth/register --json \\`);
  show('more', `    '${JSON.stringify(body)}'`);
  const answer = await fetch(`${target}/api/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const registered = await answer.json();
  const { access_token: token, token_type: type, expires_in: seconds } = registered;
  show(
    'output',
    `{"user":{"id":"${registered.user.id}",…},"access_token":"${token.slice(0, 24)}…",`,
  );
  show('output', ` "token_type":"${type}","expires_in":${seconds},"refresh_token":"…"}`);

  const chaos = ['--target', target, '--i-own-this-staging', '--only', SCENARIO];
  show('comment', '# reads and writes, and a kill -9 of a worker every 2 seconds');
  show('command', `npm run chaos -- ${chaos.join(' ')} \\`);
  show('more', `    --primary-pid ${service.child.pid}`);
  const { ended } = start(
    ['dist/faults/chaos/main.js', ...chaos, '--primary-pid', String(service.child.pid)],
    (text) => show(/ yes$/.test(text) ? 'good' : 'output', text),
  );
  const code = await ended;
  if (code !== 0) throw new Error(`${SCENARIO} ended with ${code}`);
  service.child.kill('SIGTERM');
  await service.ended;
  mkdirSync('docs/pictures', { recursive: true });
  writeFileSync(FILE, terminalSvg(lines, { title: 'The first minute', columns: COLUMNS }));
  console.log(`\n${FILE}`);
} finally {
  clearTimeout(limit);
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
