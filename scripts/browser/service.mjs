// Starts the built service with an embedded database in a folder of its own, for pictures and measurements.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

export async function startBuilt(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
  const [port, opsPort] = [await freePort(), await freePort()];
  const { PATH, HOME } = process.env;
  const env = {
    ...{
      PATH,
      HOME,
      PORT: String(port),
      HOST: '127.0.0.1',
      OPS_PORT: String(opsPort),
      WORKERS: '2',
    },
    ...{ DATA_DIR: join(folder, 'data'), RUNTIME_DIR: join(folder, 'run'), RATE_LIMIT: 'false' },
    ...settings,
  };
  const child = spawn(process.execPath, [resolve('dist/main.js')], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const workers = [];
  let admin;
  await new Promise((done, failed) => {
    child.once('exit', (code) => failed(new Error(`the service ended with ${code}`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      for (const [, pid] of text.matchAll(/"workerPid":(\d+)[^\n]*"msg":"worker ready"/g))
        workers.push(Number(pid));
      const made = /administrator (\S+) created; its password, shown only now: ([^"\s]+)/.exec(
        text,
      );
      if (made !== null) admin = { email: made[1], password: made[2] };
      if (workers.length >= Number(env.WORKERS)) done();
    });
  });
  return {
    ...{
      url: `http://127.0.0.1:${port}`,
      ops: `http://127.0.0.1:${opsPort}`,
      pid: child.pid,
      workers,
      env,
      /** The development administrator. */
      admin,
    },
    async close() {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Registers a user; resolves with its credentials and the headers of its requests. */
export async function registered(url) {
  const email = `ada${Date.now()}@example.org`;
  const password = 'correct horse battery';
  const answer = await fetch(`${url}/api/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ada Lovelace', email, password }),
  });
  if (!answer.ok) throw new Error(`register: ${answer.status} ${await answer.text()}`);
  const { access_token } = await answer.json();
  return { email, password, headers: { authorization: `Bearer ${access_token}` } };
}
