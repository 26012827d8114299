import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { lineFaults } from './environment-lines';
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
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { values: {}, faults: [] };
    return { values: {}, faults: [{ env: '.env', message: `cannot be read (${code})` }] };
  }
  // Decoded as UTF-8, UTF-16 has a NUL in each character of ASCII.
  if (text.includes('\0'))
    return { values: {}, faults: [{ env: '.env', message: 'must be text in UTF-8' }] };
  const values: Record<string, string> = parse(text);
  // Ambiguous: an empty variable counts as unset, but a variable in the environment overrides .env.
  const hidden = Object.keys(values).filter((name) => given[name] === '' && values[name] !== '');
  return {
    values,
    faults: [
      ...lineFaults(text),
      ...unknownNames(Object.keys(values), names),
      ...hidden.map((env) => ({
        env,
        message:
          'is empty in the environment, which overrides its value in .env: unset the variable or give it a value',
      })),
    ],
  };
}
