import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** The floors of `src`, top to bottom. A floor imports floors below it, never one above it. */
export const FLOORS = [
  ['main'],
  ['app'],
  ['runtime', 'modules'],
  ['platform'],
  ['kernel'],
] as const;

/** One import. Paths are relative to `src`; a path that begins with `..` is outside of it. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
}

export interface Sources {
  /** Every TypeScript file below `src`, relative to it. */
  readonly files: readonly string[];
  readonly arrows: readonly Arrow[];
  readonly read: (file: string) => string;
  /** The text without comments. */
  readonly readCode: (file: string) => string;
}

/** Every way to name another file: import, export … from, import(), require(), types included. */
export const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|\brequire\s*\(\s*)'(\.[^']*)'/g;

/** Reads all sources of a repository and the imports between them. */
export function scanSources(root: string): Sources {
  const src = join(root, 'src');
  const files = (readdirSync(src, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .map(withSlashes)
    .sort();
  const read = (file: string) => readFileSync(join(src, file), 'utf8');
  const readCode = (file: string) => read(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const arrows = files.flatMap((from) =>
    [...readCode(from).matchAll(SPECIFIER)].map(([, path = '']) => ({
      from,
      to: targetOf(src, from, path),
    })),
  );
  return { files, arrows, read, readCode };
}

function targetOf(src: string, file: string, specifier: string): string {
  const path = resolve(src, dirname(file), specifier.replace(/\.js$/, ''));
  const target = existsSync(`${path}.ts`) ? `${path}.ts` : join(path, 'index.ts');
  return withSlashes(relative(src, target));
}

const withSlashes = (path: string): string => path.replaceAll('\\', '/');

/** The first folder of a path: `platform/http/app.ts` → `platform`, `main.ts` → `main`. */
export const wingOf = (file: string): string => file.replace(/\.ts$/, '').split('/')[0] ?? '';

/** 0 is the top floor; -1 is a file outside the floors. */
export const floorOf = (file: string): number =>
  FLOORS.findIndex((floor) => (floor as readonly string[]).includes(wingOf(file)));

/**
 * The folder of a wing: `platform/http/app.ts` → `platform/http`, `kernel/errors.ts` → `kernel`.
 */
export function roomOf(file: string): string {
  const [wing = '', folder, ...rest] = file.replace(/\.ts$/, '').split('/');
  return folder === undefined || rest.length === 0 ? wing : `${wing}/${folder}`;
}

export const pointsUp = ({ from, to }: Arrow): boolean =>
  floorOf(to) >= 0 && floorOf(to) < floorOf(from);
