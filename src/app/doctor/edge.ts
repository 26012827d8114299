import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareNginx, UnusableEdge } from './edge-nginx';
import {
  isServing,
  type Probe,
  type Program,
  sendWrites,
  startProbe,
  startProgram,
} from './edge-probe';
import { type Report, record, skip } from './finding';

export interface EdgeFile {
  readonly kind: 'nginx' | 'haproxy';
  readonly file: string;
}

/**
 * Runs the edge's own configuration in its own program, on this machine, in front of two servers
 * that break the connection after each request, and counts how often writes arrive.
 */
export async function checkEdge(report: Report, edge: EdgeFile): Promise<void> {
  const { kind, file } = edge;
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
      await checkWrites(report, edge, { base: `http://127.0.0.1:${port}`, program, probes });
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

async function checkWrites(
  report: Report,
  { kind, file }: EdgeFile,
  { base, program, probes }: { base: string; program: Program; probes: readonly Probe[] },
): Promise<void> {
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
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
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
