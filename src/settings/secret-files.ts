import { readFileSync } from 'node:fs';

/**
 * `NAME_FILE` names a file that holds the value of the secret setting NAME: how Docker and Kubernetes hand secrets to
 * a container, out of sight of `docker inspect` and of child processes. A final newline is not part of the value.
 */
export function readSecretFiles(
  environment: Readonly<Record<string, string | undefined>>,
  secretNames: readonly string[],
): { readonly values: Readonly<Record<string, string>>; readonly faults: readonly { readonly env: string; readonly message: string }[] } {
  const values: Record<string, string> = {};
  const faults: { env: string; message: string }[] = [];
  for (const name of secretNames) {
    const env = `${name}_FILE`;
    const path = environment[env];
    if (path === undefined || path === '') continue;
    if (environment[name]) {
      faults.push({ env, message: `must not be set together with ${name}` });
      continue;
    }
    try {
      values[name] = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      faults.push({
        env,
        message: `names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): it is ${JSON.stringify(path)}`,
      });
    }
  }
  return { values, faults };
}
