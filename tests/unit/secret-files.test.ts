import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig } from '../../src/config';

describe('secrets from files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  const file = join(folder, 'secret');
  const value = 'kq3v9Zt1xR7mB5nC8wE2yU4iO6pA0sDfGhJ';
  writeFileSync(file, `${value}\n`);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('NAME_FILE gives the text of the file, without its last newline', () => {
    expect(loadConfig({ JWT_SECRET: '', JWT_SECRET_FILE: file }).auth.jwtSecret).toBe(value);
  });

  test('a missing file and both forms at once are faults, named with all the others', () => {
    const broken = { JWT_SECRET: value, JWT_SECRET_FILE: file, REDIS_URL: '', REDIS_URL_FILE: join(folder, 'none'), PORT: 'many' };
    expect.assertions(1);
    try {
      loadConfig(broken);
    } catch (error) {
      expect((error as ConfigError).faults.map(({ env }) => env).sort()).toEqual(['JWT_SECRET_FILE', 'PORT', 'REDIS_URL_FILE']);
    }
  });

  test('an unreadable file is not answered with "must be set" as well', () => {
    const broken = { NODE_ENV: 'production', KEY_ENCRYPTION_SECRET_FILE: join(folder, 'none'), MONGODB_URI: 'mongodb://db/auth' };
    expect(() => loadConfig(broken)).toThrow(ConfigError);
    expect(() => loadConfig(broken)).not.toThrow(/must be set in production/);
  });

  test('settings that are no secrets have no such form', () => {
    expect(loadConfig({ PORT: '4000', PORT_FILE: file }).server.port).toBe(4000);
  });
});
