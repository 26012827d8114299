import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** The result of a Dockerfile's last stage, built in a folder instead of an image. */
export interface BuiltImage {
  /** The folder that represents `/`. */
  readonly folder: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  /** All created folders; the caller removes them. */
  readonly folders: readonly string[];
}

interface Stage {
  folder: string;
  workdir: string;
  env: Record<string, string>;
  user: string;
  command: string[];
  healthcheck: string[];
}

export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/**
 * Removes comments and joins continued lines. Here-documents are not supported.
 */
export function parseDockerfile(text: string): Instruction[] {
  return text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap((line) => {
      const parts = /^([A-Z]+)\s+(.*)$/.exec(line.trim());
      return parts === null ? [] : [{ name: parts[1] ?? '', rest: parts[2] ?? '' }];
    });
}

/** The certificate authorities of this machine: a proxy may stand before the registry. */
const certificates = () => {
  const file = process.env['NODE_EXTRA_CA_CERTS'];
  return file === undefined ? {} : { NODE_EXTRA_CA_CERTS: file };
};

/** The paths that `.dockerignore` includes; supports only `*` followed by exceptions. */
function allowed(context: string): Set<string> {
  const lines = readFileSync(join(context, '.dockerignore'), 'utf8').split('\n');
  if (!lines.includes('*')) throw new Error('.dockerignore does not contain *');
  return new Set(lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1)));
}

/**
 * As COPY does: a folder's content goes into the target, a file goes into a target that ends with a
 * slash.
 */
function copyInto(path: string, target: string, intoFolder: boolean): void {
  const asIs = statSync(path).isDirectory() || !intoFolder;
  mkdirSync(asIs && !statSync(path).isDirectory() ? join(target, '..') : target, {
    recursive: true,
  });
  cpSync(path, asIs ? target : join(target, basename(path)), {
    recursive: true,
    verbatimSymlinks: true,
  });
}

/** Runs the instructions with the `node` and `npm` of `searchPath` in place of the base image's. */
export function buildByHand(context: string, searchPath: string): BuiltImage {
  const stages = new Map<string, Stage>();
  const visible = allowed(context);
  const isVisible = (path: string) => visible.has(path) || visible.has(path.split('/')[0] ?? '');
  const folders: string[] = [];
  let stage: Stage | undefined;

  /** Resolves the source of COPY; throws when .dockerignore excludes it. */
  const sourceOf = (from: string | undefined, words: readonly string[]): string => {
    if (from !== undefined) return stages.get(from)?.folder ?? `no stage ${from}`;
    const kept = words.find((word) => !isVisible(word));
    if (kept !== undefined) throw new Error(`${kept} is excluded by .dockerignore`);
    return context;
  };
  const copy = (rest: string, to: Stage) => {
    const words = rest.split(/\s+/);
    const from = /^--from=(.+)$/.exec(words[0] ?? '')?.[1];
    if (from !== undefined) words.shift();
    const target = words.pop() ?? '';
    const source = sourceOf(from, words);
    const into = join(to.folder, target.startsWith('/') ? '' : to.workdir, target);
    for (const word of words) copyInto(join(source, word), into, target.endsWith('/'));
  };
  const perform: Record<string, (rest: string, now: Stage) => void> = {
    WORKDIR: (rest, now) => {
      now.workdir = rest;
      mkdirSync(join(now.folder, rest), { recursive: true });
    },
    ENV: (rest, now) => {
      for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S*)/g)) now.env[name] = value;
    },
    COPY: copy,
    RUN: (rest, now) =>
      void execFileSync('sh', ['-ec', rest], {
        cwd: join(now.folder, now.workdir),
        env: { PATH: searchPath, HOME: process.env['HOME'], ...certificates(), ...now.env },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: 300_000,
      }),
    USER: (rest, now) => {
      now.user = rest;
    },
    CMD: (rest, now) => {
      now.command = JSON.parse(rest) as string[];
    },
    HEALTHCHECK: (rest, now) => {
      now.healthcheck = JSON.parse(rest.slice(rest.indexOf('CMD') + 3)) as string[];
    },
    EXPOSE: () => undefined,
    STOPSIGNAL: () => undefined,
    ARG: () => undefined,
  };

  for (const { name, rest } of parseDockerfile(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    if (name === 'FROM') {
      const folder = mkdtempSync(join(tmpdir(), 'image-'));
      folders.push(folder);
      stage = { folder, workdir: '/', env: {}, user: 'root', command: [], healthcheck: [] };
      stages.set(/ AS (\S+)$/.exec(rest)?.[1] ?? '', stage);
      continue;
    }
    const action = perform[name];
    if (action === undefined) throw new Error(`unsupported instruction: ${name}`);
    if (stage === undefined) {
      if (name !== 'ARG') throw new Error(`${name} before FROM`);
      continue;
    }
    action(rest, stage);
  }
  if (stage === undefined) throw new Error('a Dockerfile without a stage');
  return { ...stage, folders };
}
