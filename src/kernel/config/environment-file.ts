import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { type Names, unknownNames } from './names';

export interface EnvironmentFile {
  readonly values: Readonly<Record<string, string>>;
  readonly faults: readonly { readonly env: string; readonly message: string }[];
}

/**
 * Reads `.env` and collects its faults; a missing file is not a fault. `given` is the environment,
 * which overrides the file.
 */
export function readEnvironmentFile(
  path: string,
  given: Readonly<Record<string, string | undefined>>,
  names: Names,
): EnvironmentFile {
  let values: Record<string, string>;
  try {
    values = parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { values: {}, faults: [] };
    return { values: {}, faults: [{ env: '.env', message: `cannot be read (${code})` }] };
  }
  // Ambiguous: an empty variable counts as unset, but a variable in the environment overrides .env.
  const hidden = Object.keys(values).filter((name) => given[name] === '' && values[name] !== '');
  return {
    values,
    faults: [
      ...unknownNames(Object.keys(values), names),
      ...hidden.map((env) => ({
        env,
        message:
          'is empty in the environment, which overrides its value in .env: unset the variable or give it a value',
      })),
    ],
  };
}
