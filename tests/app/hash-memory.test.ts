import { PassThrough } from 'node:stream';
import { usableMemoryBytes, warnOfHashMemory } from '../../src/app/hash-memory';
import { parseConfig } from '../../src/kernel/config/config';
import { createLogger } from '../../src/platform/telemetry/logger';

const MIB = 1024 * 1024;

function warning(environment: Record<string, string>, usableBytes: number): string {
  let text = '';
  const logTo = new PassThrough();
  logTo.on('data', (line: Buffer) => {
    text += line.toString();
  });
  const settings = { WORKERS: '4', HASH_CONCURRENCY: '2', ARGON2_MEMORY_KIB: '65536' };
  const config = parseConfig({ NODE_ENV: 'test', ...settings, ...environment });
  warnOfHashMemory(config, createLogger({ level: 'info' }, logTo), usableBytes);
  return text;
}

test('the start warns when the hashes of all workers may take more than half of the memory', () => {
  const argon2id = { PASSWORD_HASH: 'argon2id' };
  const told = warning(argon2id, 1023 * MIB);
  expect(JSON.parse(told)).toMatchObject({
    ...{ workers: 4, concurrency: 2, mib: 512, usableMib: 1023 },
    msg: expect.stringContaining('more than half of the memory'),
  });
  expect(warning(argon2id, 1024 * MIB)).toBe('');
  expect(warning({ PASSWORD_HASH: 'bcrypt' }, 1023 * MIB)).toBe('');
});

test('the memory of this machine is a plausible amount', () => {
  expect(usableMemoryBytes()).toBeGreaterThan(128 * MIB);
  expect(usableMemoryBytes()).toBeLessThan(64 * 1024 * 1024 * MIB);
});
