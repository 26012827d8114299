import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, type RealRedis, startRedis, until } from './cache-redis';

export interface Servers {
  readonly url: string;
  readonly servers: readonly RealRedis[];
  stop(): Promise<void>;
}

/** Ports whose cluster bus (port + 10000) is still a port. */
async function lowPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 55_000) return port;
  }
}

const urlOf = (servers: readonly RealRedis[]): string =>
  `redis://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
const stopAll = async (servers: readonly RealRedis[]): Promise<void> =>
  void (await Promise.all(servers.map((one) => one.stop())));

/** Masters, each with `replicas` replicas. */
export async function startCluster(masters: number, replicas: number): Promise<Servers> {
  const args = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--repl-diskless-sync-delay',
    '0',
  ];
  const count = masters * (1 + replicas);
  const servers = await Promise.all(
    Array.from({ length: count }, async () => startRedis(args, await lowPort())),
  );
  const nodes = servers.map(({ port }) => `127.0.0.1:${port}`);
  const made = spawnSync(
    'redis-cli',
    ['--cluster', 'create', ...nodes, '--cluster-replicas', String(replicas), '--cluster-yes'],
    {
      encoding: 'utf8',
    },
  );
  if (made.status !== 0) {
    await stopAll(servers);
    throw new Error(`redis-cli --cluster create: ${made.stdout}${made.stderr}`);
  }
  const agreed = async () => {
    const infos = await Promise.all(servers.map((one) => one.command('CLUSTER', 'INFO')));
    return infos.every(
      (info) =>
        String(info).includes('cluster_state:ok') &&
        String(info).includes(`cluster_known_nodes:${count}`),
    );
  };
  await until(agreed, 20_000, 'the cluster');
  return { url: urlOf(servers), servers, stop: () => stopAll(servers) };
}

export interface Replicated extends Servers {
  readonly master: RealRedis;
  readonly replica: RealRedis;
}

/** A master, its replica and three Sentinels that fail over after a second. */
export async function startSentinels(name: string): Promise<Replicated> {
  const master = await startRedis(['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis([
    '--replicaof',
    '127.0.0.1',
    String(master.port),
    '--repl-diskless-sync-delay',
    '0',
  ]);
  await until(
    async () =>
      String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    10_000,
    'the replica',
  );
  const sentinels = await Promise.all(
    [1, 2, 3].map(async () => {
      const port = await freePort();
      const file = path.join(master.folder, `sentinel-${port}.conf`);
      writeFileSync(
        file,
        [
          `sentinel monitor ${name} 127.0.0.1 ${master.port} 2`,
          `sentinel down-after-milliseconds ${name} 1600`,
          `sentinel failover-timeout ${name} 5000`,
          '',
        ].join('\n'),
      );
      return startRedis([], port, [file, '--sentinel']);
    }),
  );
  const known = async () => {
    const infos = await Promise.all(sentinels.map((one) => one.command('INFO', 'sentinel')));
    return infos.every((info) => /slaves=1,sentinels=3/.test(String(info)));
  };
  await until(known, 15_000, 'the Sentinels');
  return {
    url: urlOf(sentinels),
    servers: sentinels,
    master,
    replica,
    stop: () => stopAll([...sentinels, replica, master]),
  };
}
