import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startTestService } from '../support/app';
import { createClient, login, register } from '../support/http';
import { startTestMongo } from '../support/mongo';
import { root } from '../support/service';

const folder = mkdtempSync(path.join(tmpdir(), 'backup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The commands of the transcript, in the order of docs/operate.md. */
function transcript(): string[][] {
  const text = readFileSync(path.join(root, 'docs/operate.md'), 'utf8');
  const block = /tests\/deploy\/backup\.test\.ts`:\n\n```sh\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  return [...block.matchAll(/^npm run (\w+) -- (.*)$/gm)].map(([, name = '', args = '']) => [
    name,
    ...args.split(' '),
  ]);
}

function command(
  uri: string,
  [name = '', ...args]: readonly string[],
): Promise<{ readonly code: number; readonly text: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    NODE_ENV: 'test',
    MONGODB_URI: uri,
    JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
    BCRYPT_COST: '4',
  };
  const file = path.join(root, 'dist', 'cli', `${name}.js`);
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [file, ...args],
      { cwd: folder, env, timeout: 60_000 },
      (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), text: out + err }),
    );
  });
}

test('the transcript of docs/operate.md: users of a backup sign in on another database', async () => {
  const commands = transcript();
  expect(commands.map(([name, word]) => `${name} ${word}`)).toEqual([
    'users export',
    'migrate up',
    'users import',
  ]);
  const [saved, restored] = [await startTestMongo(), await startTestMongo()];
  try {
    const service = await startTestService({}, saved);
    const account = await register(createClient(service.baseUrl));
    await service.close();
    const [save = [], ...restore] = commands;
    expect(await command(saved.uri, save)).toMatchObject({ code: 0 });
    const [migrated, imported] = [
      await command(restored.uri, restore[0] ?? []),
      await command(restored.uri, restore[1] ?? []),
    ];
    expect(migrated).toMatchObject({ code: 0 });
    // The administrator of the service is left out, as the page says, and nobody else.
    expect(imported).toMatchObject({
      code: 1,
      text: expect.stringMatching(/1 created, .* 1 refused/),
    });
    const report = readFileSync(path.join(folder, 'users.ndjson.report.ndjson'), 'utf8');
    expect(report).toMatch(/role_not_allowed/);

    const other = await startTestService({}, restored);
    const client = createClient(other.baseUrl);
    const { email } = account.user;
    expect(await login(client, email, account.password)).toEqual(expect.any(String));
    await other.close();
  } finally {
    await saved.close();
    await restored.close();
  }
});
