import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, root } from '../support/balancers';
import { type BuiltImage, buildByHand, parseDockerfile } from '../support/dockerfile';
import { startTestMongo } from '../support/mongo';
import { run } from '../support/processes';
import { raw } from '../support/raw-http';
import { startTestRedis } from '../support/redis';
import { describeWith, findTool } from '../support/tools';
import { until } from '../support/until';

const instructions = parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
const one = (name: string) => last.find((instruction) => instruction.name === name)?.rest ?? '';

describe('the Dockerfile', () => {
  test('the last stage runs as a user by number, in exec form, and checks its health without a shell or curl', () => {
    expect(one('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(JSON.parse(one('CMD'))[0]).toBe('node');
    expect(one('HEALTHCHECK')).toMatch(/CMD \["node",/);
    expect(last.some(({ name }) => name === 'RUN')).toBe(false);
  });
});

describeWith(['hadolint'], 'hadolint', () => {
  test('has nothing to say', () => {
    const { stdout, status } = spawnSync(findTool('hadolint') ?? '', [join(root, 'Dockerfile')], {
      encoding: 'utf8',
    });
    expect([stdout, status]).toEqual(['', 0]);
  });
});

/**
 * Two installs from the registry take their time: on demand (`npm run check:deploy`), not in every
 * run of the tests.
 */
const wanted = process.env['CHECK_DEPLOY'] === '1';
(wanted ? describe : describe.skip)(
  `the image, built by hand${wanted ? '' : ' (skipped: set CHECK_DEPLOY=1; needs the npm registry)'}`,
  () => {
    let image: BuiltImage;
    let app: string;
    let searchPath: string;
    beforeAll(() => {
      // npm's package `node` carries the real binary of the version that the base image has.
      const major = /node:(\d+)/.exec(instructions[0]?.rest ?? '')?.[1] ?? '';
      const node = execFileSync('npx', ['--yes', `node@${major}`, '-p', 'process.execPath'], {
        encoding: 'utf8',
      }).trim();
      searchPath = `${dirname(node)}:${process.env['PATH']}`;
      expect(
        execFileSync('/usr/bin/env', ['node', '-p', 'process.versions.node'], {
          env: { PATH: searchPath },
          encoding: 'utf8',
        }),
      ).toMatch(`${major}.`);
      image = buildByHand(root, searchPath);
      app = join(image.folder, image.workdir);
    }, 600_000);
    afterAll(() => {
      for (const folder of image?.folders ?? []) rmSync(folder, { recursive: true, force: true });
    });

    test('has every production dependency and nothing of development', () => {
      const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
        readFileSync(join(root, 'package.json'), 'utf8'),
      ) as Record<string, object>;
      const has = (name: string) => existsSync(join(app, 'node_modules', name));
      expect(Object.keys(dependencies ?? {}).filter((name) => !has(name))).toEqual([]);
      // The bundler is an optional dependency.
      expect(Object.keys({ ...devDependencies, ...optionalDependencies }).filter(has)).toEqual([]);
      // argon2 comes with a binary for the platform, which is an optional dependency of its own.
      const script = `require('@node-rs/argon2').hash('x').then((hash) => console.log(hash))`;
      const hash = execFileSync('/usr/bin/env', ['node', '-e', script], {
        cwd: app,
        env: { PATH: searchPath },
        encoding: 'utf8',
      });
      expect(hash).toMatch(/^\$argon2id\$/);
      expect(readdirSync(app).sort()).toEqual([
        'dist',
        'node_modules',
        'package.json',
        'templates',
      ]);
      expect(readdirSync(join(app, 'dist'))).toEqual(expect.arrayContaining(['cli', 'main.js']));
      expect(existsSync(join(app, 'dist', 'embedded-mongo'))).toBe(false);
    });

    test('its user can read its files, and write none of them', () => {
      if (process.getuid?.() !== 0) return;
      chmodSync(image.folder, 0o755);
      const [uid = 0, gid = 0] = image.user.split(':').map(Number);
      const script = `require('./dist/pm2.js'); try { require('node:fs').writeFileSync('x', ''); process.exit(3) } catch { process.exit(0) }`;
      expect(
        spawnSync(process.execPath, ['-e', script], { cwd: app, uid, gid, encoding: 'utf8' }),
      ).toMatchObject({ status: 0 });
    });

    test('npm start, npm run admin and npm run keys work in it as they are: no compiler, nothing written', async () => {
      const mongo = await startTestMongo();
      const port = String(await freePort());
      const secret = execFileSync('openssl', ['rand', '-hex', '32'], { encoding: 'utf8' }).trim();
      const own = {
        MONGODB_URI: mongo.uri,
        KEY_ENCRYPTION_SECRET: secret,
        PUBLIC_URL: 'http://localhost:8080',
      };
      const env = {
        ...image.env,
        ...own,
        PATH: searchPath,
        HOME: '/nonexistent',
        PORT: port,
        HOST: '127.0.0.1',
        OPS_PORT: '0',
        WORKERS: '1',
      };
      const before = readdirSync(app).sort();
      const npm = async (...args: string[]) => {
        const command = run(['/usr/bin/env', 'npm', 'run', '--silent', ...args], { cwd: app, env });
        const { code } = await command.exited;
        return { code, text: command.output() };
      };
      const service = run(['/usr/bin/env', 'npm', 'start'], { cwd: app, env });
      try {
        await until(
          `readiness:\n${service.output()}`,
          async () => (await raw(`http://127.0.0.1:${port}/readyz`)).status === 200,
          40_000,
        );
        expect(
          await npm('admin', '--', 'create', '--email', 'first@example.org', '--generate'),
        ).toEqual({
          code: 0,
          text: expect.stringContaining('created'),
        });
        expect(await npm('admin', '--', 'unlock', '--email', 'first@example.org')).toEqual({
          code: 0,
          text: expect.stringContaining('is unlocked'),
        });
        expect(await npm('keys', '--', 'rotate')).toEqual({
          code: 0,
          text: expect.stringMatching(/Key 2 signs from/),
        });
        service.child.kill('SIGTERM');
        expect(await service.exited).toEqual({ code: 0, signal: null });
        expect(readdirSync(app).sort()).toEqual(before);
      } finally {
        await service.stop();
        await mongo.close();
      }
    }, 180_000);

    test('starts in production mode, is healthy, drains on SIGTERM and ends with 0', async () => {
      const mongo = await startTestMongo();
      const redis = await startTestRedis();
      const port = String(await freePort());
      const env = {
        ...image.env,
        PATH: searchPath,
        PORT: port,
        HOST: '127.0.0.1',
        OPS_PORT: '0',
        WORKERS: '1',
        MONGODB_URI: mongo.uri,
        REDIS_URL: redis.url,
        KEY_ENCRYPTION_SECRET: execFileSync('openssl', ['rand', '-hex', '32'], {
          encoding: 'utf8',
        }).trim(),
        PUBLIC_URL: 'http://localhost:8080',
      };
      // spawn() looks programs up in the PATH of this process, not in that of `env`.
      const atPath = (command: readonly string[]) => ['/usr/bin/env', ...command];
      const health = async () =>
        (await run(atPath(image.healthcheck), { cwd: app, env }).exited).code;
      expect(await health()).toBe(1);
      const service = run(atPath(image.command), { cwd: app, env });
      try {
        await until(
          `readiness:\n${service.output()}`,
          async () => (await raw(`http://127.0.0.1:${port}/readyz`)).status === 200,
          20_000,
        );
        expect(await health()).toBe(0);
        service.child.kill('SIGTERM');
        expect(await service.exited).toEqual({ code: 0, signal: null });
      } finally {
        await service.stop();
        await redis.close();
        await mongo.close();
      }
    });
  },
);
