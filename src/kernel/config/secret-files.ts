import { readFileSync } from 'node:fs';

interface FileFault {
  readonly env: string;
  readonly message: string;
}

/**
 * `NAME_FILE` names a file with the value of the secret setting NAME. Docker and Kubernetes pass
 * secrets to containers this way, hidden from `docker inspect` and child processes. A final newline
 * is not part of the value.
 */
export function readSecretFiles(
  environment: Readonly<Record<string, string | undefined>>,
  secretNames: readonly string[],
): {
  readonly values: Readonly<Record<string, string>>;
  readonly faults: readonly FileFault[];
} {
  const values: Record<string, string> = {};
  const faults: FileFault[] = [];
  for (const name of secretNames) {
    const env = `${name}_FILE`;
    const path = environment[env];
    if (path === undefined || path === '') continue;
    if (environment[name]) {
      faults.push({ env, message: `must not be set together with ${name}` });
      continue;
    }
    try {
      const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      // An empty value counts as unset: the service would start without the secret.
      if (value.trim() === '')
        faults.push({ env, message: `names an empty file: it is ${JSON.stringify(path)}` });
      else values[name] = value;
    } catch (error) {
      faults.push({
        env,
        message: `names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): it is ${JSON.stringify(path)}`,
      });
    }
  }
  return { values, faults };
}

/**
 * Replaces each `client_secret_file` in the JSON of the providers by the content of the file, as
 * `client_secret`. A value of another form is left to the schema of the setting.
 */
export function readProviderSecrets(
  env: string,
  text: string,
): { readonly value: string; readonly faults: readonly FileFault[] } {
  const faults: FileFault[] = [];
  const list = providersIn(text);
  if (list === undefined) return { value: text, faults };
  const read = list.map((one, i) => {
    if (typeof one !== 'object' || one === null || !('client_secret_file' in one)) return one;
    const { client_secret_file: file, ...rest } = one as Record<string, unknown>;
    const place = typeof rest['id'] === 'string' ? rest['id'] : `[${i}]`;
    const fail = (message: string) => {
      faults.push({ env, message: `${place}.client_secret_file ${message}` });
      return { client_secret: 'unreadable', ...rest };
    };
    if ('client_secret' in rest) return fail('must not be set together with client_secret');
    if (typeof file !== 'string') return fail('must be the path of a file');
    try {
      const secret = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
      return secret.trim() === ''
        ? fail(`names an empty file: it is ${JSON.stringify(file)}`)
        : { ...rest, client_secret: secret };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return fail(`names a file that cannot be read (${code}): it is ${JSON.stringify(file)}`);
    }
  });
  return { value: JSON.stringify(read), faults };
}

function providersIn(text: string): readonly unknown[] | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return Array.isArray(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
