import { execFileSync, type SpawnOptions } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Running, run } from './processes';
import { findTool } from './tools';
import { until } from './until';

export const root = join(__dirname, '..', '..', '..');

export interface Balancer {
  readonly url: string;
  readonly pid: number;
  /** The access log so far, one object per request. */
  log(): Record<string, unknown>[];
  close(): Promise<void>;
}

type Launch = (command: readonly string[], options: SpawnOptions) => Running;

export interface BalancerOptions {
  /** `host:port` of each host of the service. */
  readonly hosts: readonly string[];
  /** Address to listen on (default 127.0.0.1) and port (default: a free one). */
  readonly address?: string;
  readonly port?: number;
  /** Environment variables of the container. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Changes the text of a configuration file, to plant a fault. Called for each file with its name.
   */
  readonly edit?: (text: string, file: string) => string;
  /** Starts a process, e.g. on another host of the test network. */
  readonly launch?: Launch;
  /** Adds the TLS server; the folder holds fullchain.pem and privkey.pem. */
  readonly tls?: { readonly folder: string; readonly port: number; readonly redirectPort: number };
}

export async function freePort(address = '127.0.0.1'): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(0, address, resolve),
  );
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (bound === null || typeof bound === 'string') throw new Error('no TCP port was bound');
  return bound.port;
}

/**
 * Renders the templates like the entrypoint of the official image: sources the .envsh, then
 * substitutes the variables.
 */
export function renderNginx(
  folder: string,
  options: BalancerOptions & { readonly port: number },
): void {
  const { hosts, address = '127.0.0.1', port, env = {}, edit = (text) => text, tls } = options;
  const source = join(root, 'nginx');
  cpSync(join(source, 'snippets'), join(folder, 'snippets'), { recursive: true });
  cpSync(join(source, 'nginx.conf'), join(folder, 'nginx.conf'));
  mkdirSync(join(folder, 'conf.d'));
  const given = {
    PATH: process.env['PATH'] ?? '',
    API_HOSTS: hosts.join(','),
    EDGE_PORT: `${address}:${port}`,
    EDGE_ACCESS_LOG: join(folder, 'access.log'),
    EDGE_TLS_FOLDER: tls?.folder ?? '',
    EDGE_TLS_PORT: `${address}:${tls?.port}`,
    EDGE_REDIRECT_PORT: `${address}:${tls?.redirectPort}`,
    ...env,
  };
  const script = join(source, 'docker-entrypoint.d', '16-edge-settings.envsh');
  const variables = new Map(
    execFileSync('sh', ['-c', '. "$0" && env -0', script], { env: given, encoding: 'utf8' })
      .split('\0')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const templates = [
    join(source, 'templates', 'default.conf.template'),
    ...(tls ? [join(source, 'tls', 'tls.conf.template')] : []),
  ];
  for (const template of templates) {
    const text = readFileSync(template, 'utf8').replace(
      /\$\{([A-Z_]+)\}/g,
      (whole, name: string) => variables.get(name) ?? whole,
    );
    writeFileSync(join(folder, 'conf.d', template.replace(/^.*\/(.*)\.template$/, '$1')), text);
  }
  for (const file of [
    'nginx.conf',
    'conf.d/default.conf',
    'snippets/server.conf',
    'snippets/proxy.conf',
    'snippets/write.conf',
    'snippets/http.conf',
  ]) {
    writeFileSync(join(folder, file), edit(readFileSync(join(folder, file), 'utf8'), file));
  }
}

export async function startNginx(options: BalancerOptions): Promise<Balancer> {
  const { address = '127.0.0.1', launch = run } = options;
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'edge-nginx-'));
  // NGINX started as root switches to another user, which needs access to its temporary files.
  chmodSync(folder, 0o755);
  renderNginx(folder, { ...options, port });
  const program = findTool('nginx') ?? 'nginx';
  const command = [program, '-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'daemon off;'];
  return serve(command, {
    url: `http://${address}:${port}`,
    folder,
    logFile: join(folder, 'access.log'),
    launch,
  });
}

export async function startHaproxy(options: BalancerOptions): Promise<Balancer> {
  const { hosts, address = '127.0.0.1', launch = run, env = {}, edit = (text) => text } = options;
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'edge-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    edit(readFileSync(join(root, 'haproxy', 'haproxy.cfg'), 'utf8'), 'haproxy.cfg'),
  );
  const given = {
    EDGE_BIND: `${address}:${port}`,
    API1: hosts[0] ?? '',
    API2: hosts[1] ?? '',
    ...env,
  };
  const command = [findTool('haproxy') ?? 'haproxy', '-db', '-f', file];
  return serve(command, { url: `http://${address}:${port}`, folder, launch, env: given });
}

interface ServeOptions {
  readonly url: string;
  readonly folder: string;
  readonly launch: Launch;
  readonly logFile?: string;
  readonly env?: Readonly<Record<string, string>>;
}

async function serve(
  command: readonly string[],
  { url, folder, launch, logFile, env = {} }: ServeOptions,
): Promise<Balancer> {
  const running = launch(command, { env: { ...process.env, ...env } });
  let gone = false;
  void running.exited.then(() => {
    gone = true;
  });
  const close = async () => {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const { hostname, port } = new URL(url);
  // Runs in the namespace of the balancer: this process may be unable to connect to it.
  const probe = `const s=require("net").connect(${port},"${hostname}",()=>process.exit(0));s.on("error",()=>process.exit(1))`;
  try {
    await until(`${command.join(' ')} listens`, async () => {
      if (gone) return true;
      return (await launch([process.execPath, '-e', probe], {}).exited).code === 0;
    });
    if (gone) throw new Error(`${command.join(' ')} ended: ${running.output()}`);
  } catch (error) {
    await close();
    throw error;
  }
  const lines = () =>
    (logFile === undefined ? running.output() : readFileSync(logFile, 'utf8')).split('\n');
  return {
    url,
    pid: running.pid,
    log: () =>
      lines().flatMap((line) =>
        line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [],
      ),
    close,
  };
}
