import cluster from 'node:cluster';
import { createServer } from 'node:http';
import type { ListenOptions } from 'node:net';
import { peerSettings } from './settings';

// Bare workers that get their connections in one of Node's three ways. ADR 3 describes the way of
// this service.
const { port, sharing = 'round-robin', workers = 1 } = peerSettings();

if (cluster.isPrimary) {
  cluster.schedulingPolicy = sharing === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;
  for (let i = 0; i < workers; i += 1) cluster.fork();
  // The harness ends the primary; its workers notice that the channel is gone.
} else {
  const body = JSON.stringify({ id: '0123456789abcdef01234567', name: 'User 0' });
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
  // `reusePort` came with Node 23.1: each worker then listens by itself, and the kernel spreads the
  // connections.
  const where: ListenOptions & { reusePort?: boolean } = {
    port,
    host: '127.0.0.1',
    reusePort: sharing === 'reuse-port',
  };
  process.on('disconnect', () => process.exit(0));
  createServer((_request, response) => {
    response.writeHead(200, headers);
    response.end(body);
  }).listen(where);
}
