import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** The configuration cannot be run here without a way to the real service. */
export class UnusableEdge extends Error {
  override readonly name = 'UnusableEdge';
}

/** Time after which NGINX closes an idle connection to an upstream, where the file says nothing. */
const NGINX_DEFAULT_SECONDS = 60;

/** Names of files that are configuration. */
const REWRITTEN = /\.conf$|^[^.]+$/;

/** Without comments; quoted text stays. */
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
export function prepareNginx(
  folder: string,
  file: string,
  port: number,
  ports: readonly number[],
): string[] {
  const source = resolve(dirname(file));
  cpSync(source, folder, { recursive: true, dereference: true });
  const texts = new Map(
    filesOf(folder)
      .filter((path) => REWRITTEN.test(basename(path)))
      .map((path) => [path, withoutComments(readFileSync(path, 'utf8'))]),
  );
  const all = [...texts.values()].join('\n');
  const upstreams = new Set([...all.matchAll(/\bupstream\s+([^\s{]+)/g)].map(([, name]) => name));
  const chosen = chosenByMaps(all, upstreams);
  if (/^\s*\S+\s+"?(?:\d+\.){3}\d+:\d+"?;/m.test(all))
    throw new UnusableEdge('a map leads to addresses and not to upstreams');
  for (const [path, text] of texts) {
    const local = text.replaceAll(`include ${source}/`, `include ${folder}/`);
    for (const [, given = ''] of local.matchAll(/\binclude\s+([^;]*);/g))
      requireCopied(basename(path), given.trim(), folder);
    const rewritten = rewriteNginx(local, port, ports, upstreams);
    requireProbes(rewritten, new Set([...upstreams, ...chosen]), ports);
    writeFileSync(path, rewritten);
  }
  return ['nginx', '-p', folder, '-c', join(folder, basename(file)), '-g', 'daemon off;'];
}

/** Throws unless what is included is in the folder, and was rewritten. */
function requireCopied(by: string, given: string, folder: string): void {
  if (/(^|\/)mime\.types$/.test(given)) return;
  if (given.startsWith('/') && !given.startsWith(`${folder}/`))
    throw new UnusableEdge(`${by} includes ${given}: put all files into one folder`);
  if (given.includes('..') || !REWRITTEN.test(basename(given)))
    throw new UnusableEdge(`${by} includes ${given}, which is no .conf file of its folder`);
}

const BLOCK = String.raw`\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^}"'])*)\}`;

/** Variables (`$name`) that hold the name of an upstream for every request. */
function chosenByMaps(all: string, upstreams: ReadonlySet<string | undefined>): string[] {
  const values = new Map<string, (string | undefined)[]>();
  for (const [, name = '', body = ''] of all.matchAll(
    new RegExp(String.raw`\bmap\s+\S+\s+(\$\w+)\s*${BLOCK}`, 'g'),
  )) {
    const entries = [...body.matchAll(/\s("(?:[^"\\]|\\.)*"|[^\s;"]+)\s*;/g)];
    const found = entries.map(([, value]) => value?.replaceAll('"', ''));
    values.set(name, [...(values.get(name) ?? []), ...found]);
  }
  const isSet = (name: string) => new RegExp(`\\bset\\s+\\${name}\\s`).test(all);
  return [...values]
    .filter(([name, found]) => !isSet(name) && found.every((value) => upstreams.has(value)))
    .map(([name]) => name);
}

/** Directives that might send a request to another server than the probes. */
const OTHER_WAYS =
  /\b(stream\s*\{|(?:fastcgi|grpc|memcached|scgi|uwsgi)_pass\s|\w+_by_lua|js_\w+\s|perl\w*\s)/;

/** Throws unless every way of a rewritten file leads to the probes. */
function requireProbes(
  text: string,
  names: ReadonlySet<string | undefined>,
  ports: readonly number[],
): void {
  const other = OTHER_WAYS.exec(text)?.[1];
  if (other !== undefined) throw new UnusableEdge(`${other.trim()} is not understood`);
  const probes = ports.map((one) => `127.0.0.1:${one}`);
  for (const [, given = ''] of text.matchAll(/\bproxy_pass\s+([^;]*);/g)) {
    const [, host] = /^"?http:\/\/([^/"]+)/.exec(given.trim()) ?? [];
    if (host === undefined || (!names.has(host) && !probes.includes(host)))
      throw new UnusableEdge(`proxy_pass ${given.trim()} may lead to the real service`);
  }
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
      if (/(^|[;\s])include\s/.test(body))
        throw new UnusableEdge(`the upstream ${name} includes its servers`);
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

/**
 * The longest keepalive_timeout of the upstreams of an NGINX configuration that keep connections.
 */
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
