import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig } from '../../../src/kernel/config/config';

describe('secrets from files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  const file = join(folder, 'secret');
  const value = 'kq3v9Zt1xR7mB5nC8wE2yU4iO6pA0sDfGhJ';
  writeFileSync(file, `${value}\n`);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('NAME_FILE reads the value from the file, without its final newline', () => {
    expect(loadConfig({ JWT_SECRET: '', JWT_SECRET_FILE: file }).auth.jwtSecret).toBe(value);
  });

  test('a missing file, and NAME together with NAME_FILE, are reported with all other faults', () => {
    const broken = {
      JWT_SECRET: value,
      JWT_SECRET_FILE: file,
      REDIS_URL: '',
      REDIS_URL_FILE: join(folder, 'none'),
      PORT: 'many',
    };
    expect.assertions(1);
    try {
      loadConfig(broken);
    } catch (error) {
      expect((error as ConfigError).faults.map(({ env }) => env).sort()).toEqual([
        'JWT_SECRET_FILE',
        'PORT',
        'REDIS_URL_FILE',
      ]);
    }
  });

  test.each(['', '\n', ' \t\n'])('an empty file (%j) is a fault, not an unset secret', (text) => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, text);
    expect(() => loadConfig({ MONGODB_URI: '', MONGODB_URI_FILE: empty })).toThrow(
      /MONGODB_URI_FILE names an empty file/,
    );
  });

  test('an unreadable file is not also reported as an unset setting', () => {
    const broken = {
      NODE_ENV: 'production',
      KEY_ENCRYPTION_SECRET_FILE: join(folder, 'none'),
      MONGODB_URI: 'mongodb://db/auth',
    };
    expect(() => loadConfig(broken)).toThrow(ConfigError);
    expect(() => loadConfig(broken)).not.toThrow(/must be set in production/);
  });

  test('only secret settings have a NAME_FILE form', () => {
    expect(loadConfig({ PORT: '4000', PORT_FILE: file }).server.port).toBe(4000);
  });
});
