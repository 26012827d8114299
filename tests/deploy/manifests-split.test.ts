import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentNames, parseConfig } from '../../src/kernel/config/config';
import { type Backend, startBackend } from '../support/backend';
import { type Balancer, root, startNginx } from '../support/balancers';
import { documentsOf, kubernetesFolder } from '../support/manifests';
import { raw } from '../support/raw-http';
import { describeWith, findTool } from '../support/tools';

/** The examples that split the service into auth and users by MODULES. */

const folder = mkdtempSync(join(tmpdir(), 'manifests-split-'));
afterAll(() => rmSync(folder, { recursive: true }));

const known = new Set(environmentNames());
const modules = { auth: ['auth', 'audit'], users: ['users'] } as const;
const parts = ['auth', 'users'] as const;

describeWith(['kubectl'], 'the overlay split', () => {
  let built: string;
  beforeAll(() => {
    const { overlay } = kubernetesFolder(folder, 'split');
    built = execFileSync(findTool('kubectl') ?? '', ['kustomize', overlay], { encoding: 'utf8' });
  });

  const isOf = (part: string) => (text: string) =>
    new RegExp(`^ {2}name: auth-api(-metrics)?-${part}(-[a-z0-9]{10})?$`, 'm').test(text);
  const ofPart = (kind: string, part: string) => documentsOf(built, kind).filter(isOf(part));

  test.each(parts)('%s: the service accepts the settings', (part) => {
    const [map = ''] = ofPart('ConfigMap', part);
    const data = Object.fromEntries(
      [...map.matchAll(/^ {2}([A-Z_]+): "?(.*?)"?$/gm)].map(([, name, value]) => [name, value]),
    );
    expect(Object.keys(data).filter((name) => !known.has(name))).toEqual([]);
    const config = parseConfig({
      ...data,
      KEY_ENCRYPTION_SECRET: 'mZ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
      MONGODB_URI: 'mongodb+srv://user:password@cluster.example.net/auth',
      REDIS_URL: 'rediss://:password@redis.example.net:6379',
      SMTP_URL: 'smtps://user:password@smtp.example.net',
    });
    expect(config.server.modules).toEqual(modules[part]);
    const keys = `${data['PUBLIC_URL']}/.well-known/jwks.json`;
    expect(config.auth.jwksUrl).toBe(part === 'users' ? keys : undefined);
    expect(built).toContain(`  - host: ${new URL(data['PUBLIC_URL'] ?? '').host}\n`);
  });

  test.each(parts)('%s: every selector chooses its own pods', (part) => {
    const both = `app.kubernetes.io/instance: ${part}\n +app.kubernetes.io/name: auth-api\n`;
    for (const [kind, count, where] of [
      ['Deployment', 1, 'selector:\n +matchLabels'],
      ['Deployment', 1, 'metadata:\n(?: {6}.*\n)+? {6}labels'],
      ['Deployment', 1, 'topologySpreadConstraints:\n +- labelSelector:\n +matchLabels'],
      ['Service', 2, 'selector'],
      ['PodDisruptionBudget', 1, 'selector:\n +matchLabels'],
      ['NetworkPolicy', 1, 'podSelector:\n +matchLabels'],
    ] as const) {
      const found = ofPart(kind, part);
      expect([kind, found.length]).toEqual([kind, count]);
      for (const text of found) expect(text).toMatch(new RegExp(`${where}:\n +${both}`));
    }
    const [scaler = ''] = ofPart('HorizontalPodAutoscaler', part);
    expect(scaler).toMatch(
      new RegExp(`scaleTargetRef:\n.*\n +kind: Deployment\n +name: auth-api-${part}\n`),
    );
    const [policy = ''] = ofPart('NetworkPolicy', part);
    expect(policy).toMatch(/podSelector:\n +matchLabels:\n +k8s-app: kube-dns\n/);
    // The way to JWKS_URL.
    expect(/port: 443\n/.test(policy)).toBe(part === 'users');
  });

  test('both have the same secrets and image', () => {
    const pods = documentsOf(built, 'Deployment');
    const [secret, ...others] = documentsOf(built, 'Secret').map(
      (text) => /^ {2}name: (.*)$/m.exec(text)?.[1],
    );
    expect([secret, others]).toEqual([expect.stringMatching(/^auth-api-[a-z0-9]{10}$/), []]);
    for (const text of pods) {
      const names = [...text.matchAll(/secretKeyRef:\n +key: .*\n +name: (.*)/g)];
      expect(names.map(([, name]) => name)).toEqual(Array(4).fill(secret));
      expect(text).toContain('image: registry.example.com/auth-api:1.0.0\n');
    }
    expect(pods.length).toBe(2);
  });

  test('the ingress sends /api/users, /api/jobs, /api/events and /api/webhooks to users, and the rest to auth', () => {
    const [ingress = ''] = documentsOf(built, 'Ingress');
    const routes = [
      ...ingress.matchAll(/name: (auth-api-\w+)\n +port:\n +name: http\n +path: (.*)/g),
    ];
    expect(routes.map(([, service, path]) => [path, service])).toEqual([
      ['/api/users', 'auth-api-users'],
      ['/api/jobs', 'auth-api-users'],
      ['/api/events', 'auth-api-users'],
      ['/api/webhooks', 'auth-api-users'],
      ['/', 'auth-api-auth'],
    ]);
    expect(ingress.match(/pathType: Prefix/g)?.length).toBe(5);
  });
});

describeWith(['compose-config'], 'deploy/compose/split.yaml', () => {
  const secrets = join(folder, 'secrets.env');
  writeFileSync(secrets, execFileSync('sh', [join(root, 'deploy', 'compose', 'make-secrets.sh')]));
  const load = (env: Record<string, string>) =>
    spawnSync(
      findTool('compose-config') ?? '',
      [join(root, 'deploy', 'compose', 'split.yaml'), secrets],
      { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } },
    );
  interface Service {
    readonly environment: Record<string, string>;
    readonly [name: string]: unknown;
  }

  test("is loaded by Docker Compose's own loader, as auth and users behind the edge", () => {
    const { stdout, stderr } = load({ PUBLIC_HOST: 'auth.example.org', TLS_DIR: '/srv/tls' });
    expect(stderr).toBe('');
    const { services } = JSON.parse(stdout) as { services: Record<string, Service> };
    expect(Object.keys(services).sort()).toEqual(['auth', 'mongo', 'nginx', 'redis', 'users']);
    for (const part of parts) {
      const service = services[part];
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], scale: 2 });
      expect(Object.keys(service?.['depends_on'] as object).sort()).toEqual(['mongo', 'redis']);
      const { NODE_EXTRA_CA_CERTS: _, ...environment } = service?.environment ?? {};
      expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
      const config = parseConfig(environment);
      expect(config.server.modules).toEqual(modules[part]);
      expect(config.server.publicUrl).toBe('https://auth.example.org');
      expect(config.auth.jwksUrl).toBe(
        part === 'users' ? 'https://auth.example.org/.well-known/jwks.json' : undefined,
      );
    }
    const shared = (part: string) => ({
      ...services[part]?.environment,
      ...{ MODULES: '', JWKS_URL: '', NODE_EXTRA_CA_CERTS: '' },
    });
    expect(shared('users')).toEqual(shared('auth'));
    // Only the edge is reachable from outside.
    const published = Object.keys(services).filter((name) => services[name]?.['ports']);
    expect(published).toEqual(['nginx']);
    expect(services['nginx']).toMatchObject({
      environment: { API_HOSTS: 'auth:3000', USERS_HOSTS: 'users:3000', EDGE_TLS_PORT: '443' },
      networks: { edge: { aliases: ['auth.example.org'] } },
      ports: [
        { target: 443, published: '443' },
        { target: 8081, published: '80' },
      ],
    });
    expect(Object.keys(services['nginx']?.['depends_on'] as object).sort()).toEqual([...parts]);
    const sources = Object.values(services)
      .flatMap((service) => (service['volumes'] ?? []) as { type: string; source: string }[])
      .filter(({ type, source }) => type === 'bind' && !source.startsWith('/srv/tls'));
    expect(sources.length).toBe(6);
    for (const { source } of sources)
      expect([source, spawnSync('test', ['-e', source]).status]).toEqual([source, 0]);
  });

  test.each(['PUBLIC_HOST', 'TLS_DIR'])('names the variable %s that is missing', (name) => {
    const { [name]: _, ...env } = {
      PUBLIC_HOST: 'auth.example.org',
      TLS_DIR: '/srv/tls',
    } as Record<string, string>;
    const { status, stderr } = load(env);
    expect([status === 0, stderr]).toEqual([false, expect.stringContaining(name)]);
  });
});

describeWith(['nginx'], 'the container form of NGINX', () => {
  let hosts: [Backend, Backend];
  let edge: Balancer | undefined;
  beforeAll(async () => {
    hosts = [await startBackend(), await startBackend()];
  });
  afterEach(() => edge?.close());
  afterAll(() => Promise.all(hosts.map((host) => host.down())));

  test('sends /api/users, /api/jobs, /api/events and paths below to USERS_HOSTS, reads and writes', async () => {
    const [auth, users] = hosts;
    edge = await startNginx({ hosts: [auth.host], env: { USERS_HOSTS: users.host } });
    const paths = [
      ...['/api/users', '/api/users/me?x=1', '/api/users/export', '/api/jobs/a1/events'],
      ...['/api/events?after=7', '/api/events/stream', '/api/webhooks/a1/test'],
    ];
    for (const path of [...paths, '/api/usersx', '/api/auth/profile'])
      for (const method of ['GET', 'POST', 'DELETE'])
        expect((await raw(`${edge.url}${path}`, { method })).status).toBe(200);
    const urls = ({ seen }: Backend) => [...new Set(seen.map(({ url }) => url))];
    expect(urls(users)).toEqual(paths);
    expect(users.seen.length).toBe(21);
    const ofAuth = auth.seen.filter(({ url }) => url.startsWith('/api/'));
    expect(urls({ ...auth, seen: ofAuth })).toEqual(['/api/usersx', '/api/auth/profile']);
    expect(ofAuth.length).toBe(6);
  });
});
