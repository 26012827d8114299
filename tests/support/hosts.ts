import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RemoteClient, startRemoteClient } from '../../faults/remote';
import { type Balancer, freePort, root, startHaproxy, startNginx } from './balancers';
import { startTestMongo } from './mongo';
import { bestKind, type HostNode, openNetwork, type TestNetwork } from './network';
import type { Running } from './processes';
import { findTool } from './tools';
import { until } from './until';

interface ServiceHost {
  readonly node: HostNode;
  /** `address:port`, for the balancer. */
  readonly host: string;
  readonly url: string;
  /** Of its primary. */
  readonly pid: number;
  readonly running: Running;
  /** Log lines of all starts so far. */
  logs(message?: string): Record<string, unknown>[];
  /** Pids of all workers that were ever ready, oldest first. */
  workerPids(): number[];
  /** Starts it (again) and waits until all its workers are ready. */
  start(): Promise<void>;
}

export interface BalancerChoice {
  readonly kind: 'nginx' | 'haproxy';
  readonly edit?: (text: string, file: string) => string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface HostsOptions {
  readonly hosts?: number;
  readonly workers?: number;
  readonly balancers: readonly BalancerChoice[];
  readonly redis?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Several hosts of the service on one database and Redis, balancers and a client, each on its own
 * host.
 */
export interface TestHosts {
  readonly network: TestNetwork;
  readonly hosts: readonly ServiceHost[];
  readonly balancers: readonly (Balancer & { readonly node: HostNode })[];
  readonly client: RemoteClient;
  /** Time that all hosts together took to start: the speed of this machine in this minute. */
  readonly startMs: number;
  close(): Promise<void>;
}

export async function startHosts(options: HostsOptions): Promise<TestHosts> {
  const { hosts: count = 2, workers = 2, redis = true, env = {} } = options;
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'hosts-'));
    closers.push(async () => rmSync(folder, { recursive: true, force: true }));
    const mongo = await startTestMongo();
    closers.push(mongo.close);
    // Processes in a namespace cannot reach a database on this machine's TCP, but on a socket file.
    const kind = /^mongodb:\/\/[^/]*%2F/i.test(mongo.uri) ? bestKind() : 'loopback';
    const names = (prefix: string, n: number) =>
      Array.from({ length: n }, (_, index) => `${prefix}${index + 1}`);
    const [apiNames, balancerNames] = [
      names('api', count),
      names('edge', options.balancers.length),
    ];
    const network = openNetwork([...apiNames, ...balancerNames, 'redis', 'client'], kind);
    closers.push(network.close);

    const settings: Record<string, string> = {
      NODE_ENV: 'test',
      MONGODB_URI: mongo.uri,
      JWT_SECRET: 'kq3v9Zt1xR7mB5nC8wE2yU4iO6pA0sDfGhJ',
      BCRYPT_COST: '4',
      RATE_LIMIT: 'false',
      // All hosts share the cores of one machine: the start of one must not shed load on another.
      ADMISSION_LOOP_BUDGET_MS: '2000',
      ACCEPT_BUSY_WAIT_MS: '3000',
      TRUST_PROXY: '1',
      // One issuer for all hosts: the default contains the port, and hosts would reject each
      // other's tokens.
      PUBLIC_URL: 'http://api.example.test',
      LOG_LEVEL: 'info',
      OPS_PORT: '0',
      WORKERS: String(workers),
      ...(redis ? { REDIS_URL: await startRedis(network.node('redis'), folder) } : {}),
      ...env,
    };
    const hosts = await Promise.all(
      apiNames.map((name) => createHost(network.node(name), folder, settings)),
    );
    const starting = performance.now();
    await Promise.all(hosts.map((host) => host.start()));
    const startMs = Math.round(performance.now() - starting);

    const balancers: (Balancer & { node: HostNode })[] = [];
    for (const [index, choice] of options.balancers.entries()) {
      const node = network.node(balancerNames[index] ?? '');
      const start = choice.kind === 'nginx' ? startNginx : startHaproxy;
      const { kind: _, ...rest } = choice;
      const limits = {
        EDGE_RATE_PER_SECOND: '100000',
        EDGE_RATE_BURST: '100000',
        EDGE_RATE_PER_10S: '1000000',
      };
      const balancer = await start({
        hosts: hosts.map((host) => host.host),
        address: node.address,
        launch: (command, spawnOptions) => node.run(command, spawnOptions),
        ...rest,
        env: { ...limits, ...choice.env },
      });
      closers.push(balancer.close);
      balancers.push({ ...balancer, node });
    }
    const client = startRemoteClient(network.node('client'));
    closers.push(client.close);
    return { network, hosts, balancers, client, startMs, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startRedis(node: HostNode, folder: string): Promise<string> {
  const port = await freePort();
  const program = findTool('redis-server') ?? 'redis-server';
  const args = [
    '--bind',
    node.address,
    '--port',
    String(port),
    '--protected-mode',
    'no',
    '--save',
    '',
    '--dir',
    folder,
  ];
  const running = node.run([program, ...args]);
  await until('Redis accepts connections', () =>
    running.output().includes('Ready to accept connections'),
  );
  return `redis://${node.address}:${port}`;
}

async function createHost(
  node: HostNode,
  folder: string,
  settings: Readonly<Record<string, string>>,
): Promise<ServiceHost> {
  const port = await freePort();
  const starts: Running[] = [];
  const current = () => {
    const running = starts.at(-1);
    if (running === undefined) throw new Error(`${node.name} was never started`);
    return running;
  };
  const parse = (running: Running) =>
    running
      .output()
      .split('\n')
      .flatMap((line) =>
        line.startsWith('{') && line.endsWith('}')
          ? [JSON.parse(line) as Record<string, unknown>]
          : [],
      );
  const ready = (running: Running) =>
    parse(running).filter((line) => line['msg'] === 'worker ready');
  return {
    node,
    host: `${node.address}:${port}`,
    url: `http://${node.address}:${port}`,
    get pid() {
      return current().pid;
    },
    get running() {
      return current();
    },
    logs: (message) =>
      starts.flatMap(parse).filter((line) => message === undefined || line['msg'] === message),
    workerPids: () => starts.flatMap(ready).map((line) => Number(line['workerPid'])),
    async start() {
      const env = {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        ...settings,
        HOST: node.address,
        PORT: String(port),
        RUNTIME_DIR: join(folder, node.name),
      };
      const running = node.run([process.execPath, join(root, 'dist', 'main.js')], {
        env,
        cwd: folder,
      });
      starts.push(running);
      let ended = false;
      void running.exited.then(() => {
        ended = true;
      });
      const all = `all workers of ${node.name} are ready`;
      await until(all, () => ended || ready(running).length >= Number(settings['WORKERS']), 30_000);
      if (ended) throw new Error(`${node.name} ended: ${running.output()}`);
    },
  };
}
