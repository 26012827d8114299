import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import bcrypt from 'bcrypt';
import { onCpus } from './cpus';
import { PASSWORD } from './dataset';
import { BCRYPT_COST } from './peers/settings';

const HASHES = 10;

/**
 * Milliseconds per hash while all of `cpus` hash. On virtual machines and under a shared clock, a
 * core is slower when its neighbours work too.
 */
export async function hashMs(cpus: readonly number[]): Promise<number> {
  const each = await Promise.all(
    cpus.map(async (cpu) => {
      const { command, args } = onCpus([cpu], process.execPath, [__filename]);
      const { stdout } = await promisify(execFile)(command, [...args], { timeout: 60_000 });
      return Number(stdout);
    }),
  );
  return each.reduce((sum, one) => sum + one, 0) / each.length;
}

async function main(): Promise<void> {
  await bcrypt.hash(PASSWORD, BCRYPT_COST);
  const began = performance.now();
  for (let i = 0; i < HASHES; i += 1) await bcrypt.hash(PASSWORD, BCRYPT_COST);
  process.stdout.write(String((performance.now() - began) / HASHES));
}

if (require.main === module) void main();
