/**
 * The cluster of most tutorials, as the planted fault of scenarios: it only forks again when a
 * worker exits. No drain, no watchdog, no backoff; it logs with console.log.
 */
import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
import { createServer } from 'node:http';

const say = (line: Record<string, unknown>) =>
  console.log(JSON.stringify({ level: 'info', pid: process.pid, ...line }));

function runNaivePrimary(): void {
  let ready = 0;
  for (let i = 0; i < Number(process.env['WORKERS']); i++) cluster.fork();
  cluster.on('listening', (worker, { port }) => {
    ready++;
    if (ready === 1) say({ msg: 'listening', port });
    say({ msg: 'worker ready', workerPid: worker.process.pid, ready });
  });
  cluster.on('exit', (worker, code, signal) => {
    ready--;
    say({ msg: 'worker exited unexpectedly', workerPid: worker.process.pid, code, signal });
    cluster.fork();
  });
  process.on('SIGHUP', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
    say({ msg: 'rolling reload finished' });
  });
}

function runNaiveWorker(): void {
  const log = (line: Record<string, unknown>) =>
    process.env['NAIVE_SYNC'] === undefined ? say(line) : writeSync(1, `${JSON.stringify(line)}\n`);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const amount = Number(url.searchParams.get('amount') ?? 0);
    const end = performance.now() + (url.pathname === '/block' ? amount : 0);
    while (performance.now() < end);
    log({ msg: 'request', url: request.url, padding: 'x'.repeat(200) });
    setTimeout(() => response.end('{}'), url.pathname === '/slow' ? amount : 0);
  });
  server.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1' });
  // PM2's wait_ready.
  server.once('listening', () => process.env['pm_id'] !== undefined && process.send?.('ready'));
}

if (cluster.isPrimary) runNaivePrimary();
else runNaiveWorker();
