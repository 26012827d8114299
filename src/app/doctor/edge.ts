import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isServing, sendWrites, startProbe, startProgram } from './edge-probe';
import { type Report, record, skip } from './finding';

/** The configuration cannot be run here without a way to the real service. */
class UnusableEdge extends Error {
  override readonly name = 'UnusableEdge';
}

/** Time after which NGINX closes an idle connection to an upstream, where the file says nothing. */
const NGINX_DEFAULT_SECONDS = 60;

export interface EdgeFile {
  readonly kind: 'nginx' | 'haproxy';
  readonly file: string;
}

/**
 * Runs the edge's own configuration in its own program, on this machine, in front of two servers
 * that break the connection after each request, and counts how often writes arrive.
 */
export async function checkEdge(report: Report, { kind, file }: EdgeFile): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-edge-'));
  // NGINX started as root switches to another user, which needs its temporary files.
  chmodSync(folder, 0o755);
  const probes = await Promise.all([startProbe(), startProbe()]);
  try {
    const port = await freePort();
    const ports = probes.map((probe) => probe.port);
    const command =
      kind === 'nginx'
        ? prepareNginx(folder, file, port, ports)
        : prepareHaproxy(folder, file, port, ports);
    const program = startProgram(command);
    try {
      const base = `http://127.0.0.1:${port}`;
      if (!(await isServing(base, program)))
        return skip(
          report,
          'edge-repeats-writes',
          `${kind} does not start: ${lastLine(program.output())}`,
        );
      const { repeated, lost } = await sendWrites(base, probes);
      if (lost.length > 0)
        return skip(report, 'edge-repeats-writes', `${lost.join(', ')} did not reach the servers`);
      record(
        report,
        'edge-repeats-writes',
        repeated.length > 0 && {
          severity: 'fault',
          seen: `${file} sends again after a broken connection: ${repeated.join(', ')}`,
          means: 'A write may take place twice, or answer 404, 409 or 412 although it succeeded.',
          fix:
            kind === 'nginx'
              ? 'No non_idempotent in proxy_next_upstream, and PUT and DELETE as in nginx/snippets/server.conf.'
              : 'A backend of their own for writes, with retry-on conn-failure and http-reuse never (haproxy/haproxy.cfg).',
        },
      );
    } finally {
      await program.close();
    }
  } catch (error) {
    if (!(error instanceof UnusableEdge)) throw error;
    skip(report, 'edge-repeats-writes', error.message);
  } finally {
    await Promise.all(probes.map((probe) => probe.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Without comments; what stands in quotes stays. */
const withoutComments = (text: string): string => text.replaceAll(/(^|[\s;{}])#.*$/gm, '$1');

function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/**
 * A copy whose upstreams are the probes, and which listens on one port without TLS. Nothing of it
 * may lead to the real service: other names are not resolved, other files not included.
 */
function prepareNginx(
  folder: string,
  file: string,
  port: number,
  ports: readonly number[],
): string[] {
  const source = resolve(dirname(file));
  cpSync(source, folder, { recursive: true, dereference: true });
  const texts = new Map(
    filesOf(folder)
      .filter((path) => /\.conf$|^[^.]+$/.test(basename(path)))
      .map((path) => [path, withoutComments(readFileSync(path, 'utf8'))]),
  );
  const all = [...texts.values()].join('\n');
  const upstreams = new Set([...all.matchAll(/\bupstream\s+([^\s{]+)/g)].map(([, name]) => name));
  if (/^\s*\S+\s+"?(?:\d+\.){3}\d+:\d+"?;/m.test(all))
    throw new UnusableEdge('a map leads to addresses and not to upstreams');
  for (const [path, text] of texts) {
    const local = text.replaceAll(`include ${source}/`, `include ${folder}/`);
    const outside = /\binclude\s+(\/[^;]*)/.exec(local.replaceAll(`include ${folder}/`, ''))?.[1];
    if (outside !== undefined && !/mime\.types$/.test(outside))
      throw new UnusableEdge(
        `${basename(path)} includes ${outside}: put all files into one folder`,
      );
    writeFileSync(path, rewriteNginx(local, port, ports, upstreams));
  }
  return ['nginx', '-p', folder, '-c', join(folder, basename(file)), '-g', 'daemon off;'];
}

function rewriteNginx(
  text: string,
  port: number,
  ports: readonly number[],
  upstreams: ReadonlySet<string | undefined>,
): string {
  const servers = ports.map((one) => `server 127.0.0.1:${one} max_fails=0;`).join(' ');
  return text
    .replaceAll(/\b(resolver|resolver_timeout)\s[^;]*;/g, '')
    .replaceAll(/\bupstream\s+(\S+)\s*\{([^}]*)\}/g, (_all, name: string, body: string) => {
      const rest = body.replaceAll(/(^|[;\s])server\s[^;]*;/g, '$1');
      return `upstream ${name} { ${rest} ${servers} }`;
    })
    .replaceAll(/\blisten\s[^;]*;/g, `listen 127.0.0.1:${port};`)
    .replaceAll(/\bssl_(certificate|certificate_key|dhparam|trusted_certificate)\s[^;]*;/g, '')
    .replaceAll(/\baccess_log\s[^;]*;/g, 'access_log off;')
    .replaceAll(/\bpid\s[^;]*;/g, 'pid doctor.pid;')
    .replaceAll(/\bproxy_pass\s+https?:\/\/([^\s;/:]+)(:\d+)?/g, (all, host: string) =>
      host.includes('$') || upstreams.has(host)
        ? all.replace('https:', 'http:')
        : `proxy_pass http://127.0.0.1:${ports[0]}`,
    );
}

function prepareHaproxy(
  folder: string,
  file: string,
  port: number,
  ports: readonly number[],
): string[] {
  let count = 0;
  const given = readFileSync(file, 'utf8');
  if (/^\s*(server-template|use-server)\b/m.test(given))
    throw new UnusableEdge('server-template is not understood');
  const text = given
    .replaceAll(/^(\s*)bind\s.*$/gm, `$1bind 127.0.0.1:${port}`)
    .replaceAll(
      /^(\s*server\s+\S+\s+)("[^"]*"|\S+)(.*)$/gm,
      (_all, head: string, _address: string, rest: string) =>
        `${head}127.0.0.1:${ports[count++ % ports.length]}${rest.replaceAll(/\s(ssl|verify \S+|ca-file \S+|resolvers \S+)/g, '')}`,
    )
    .replaceAll(/^\s*(chroot|user|group|stats socket|daemon|pidfile)\b.*$/gm, '');
  const copy = join(folder, 'haproxy.cfg');
  writeFileSync(copy, text);
  return ['haproxy', '-db', '-f', copy];
}

/** The longest keepalive_timeout of the upstreams of an NGINX configuration that keep connections. */
export function nginxKeepAliveSeconds(file: string): number | undefined {
  const texts = filesOf(dirname(file)).map((path) => withoutComments(readFileSync(path, 'utf8')));
  const upstreams = texts
    .flatMap((text) =>
      [...text.matchAll(/upstream\s+\S+\s*\{([^}]*)\}/g)].map(([, body = '']) => body),
    )
    .filter((body) => /\bkeepalive\s/.test(body));
  const seconds = upstreams.map((body) => {
    const [, number, unit = 's'] = /\bkeepalive_timeout\s+(\d+)(ms|s|m|h)?/.exec(body) ?? [];
    const factor = { ms: 0.001, s: 1, m: 60, h: 3600 }[unit] ?? 1;
    return number === undefined ? NGINX_DEFAULT_SECONDS : Number(number) * factor;
  });
  return seconds.length === 0 ? undefined : Math.max(...seconds);
}
