import { execFileSync } from 'node:child_process';

/**
 * A Node that contestants run under. The harness and the load always use the Node that started the
 * harness.
 */
export interface Runtime {
  /** Major version, e.g. `24`: the name in tables. */
  readonly major: string;
  readonly version: string;
  readonly path: string;
}

export function resolveRuntimes(majors: readonly string[]): readonly Runtime[] {
  if (majors.length === 0) return [describe(process.execPath)];
  return majors.map((major) =>
    process.versions.node.startsWith(`${major}.`) ? describe(process.execPath) : viaNpx(major),
  );
}

/**
 * npm's `node` package carries the real binary; asking it for its own path lets us start it without
 * npx in between.
 */
function viaNpx(major: string): Runtime {
  const path = execFileSync('npx', ['--yes', `node@${major}`, '-p', 'process.execPath'], {
    encoding: 'utf8',
    timeout: 300_000,
  }).trim();
  return describe(path.split('\n').at(-1) ?? '');
}

function describe(path: string): Runtime {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim();
  return { major: version.slice(1).split('.')[0] ?? '', version, path };
}
