import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../support/balancers';
import { documentsOf, kubernetesFolder } from '../support/manifests';
import { describeWith, findTool } from '../support/tools';

/** The examples that run examples/resource-server as a service of its own. */

const folder = mkdtempSync(join(tmpdir(), 'manifests-resource-server-'));
afterAll(() => rmSync(folder, { recursive: true }));

const program = readFileSync(join(root, 'examples/resource-server/server.mjs'), 'utf8');
const known = new Set(
  [...program.matchAll(/const \{(.*)\} = process\.env/g)].flatMap(
    ([, names = '']) => names.match(/[A-Z_]{3,}/g) ?? [],
  ),
);

test('the program reads settings', () => {
  expect([...known].sort()).toEqual([
    ...['AUTH_AUDIENCE', 'AUTH_CLIENT_ID', 'AUTH_CLIENT_SECRET', 'AUTH_URL', 'PORT'],
  ]);
});

describeWith(['kubectl'], 'the overlay resource-server', () => {
  let built: string;
  beforeAll(() => {
    const { overlay } = kubernetesFolder(folder, 'resource-server');
    built = execFileSync(findTool('kubectl') ?? '', ['kustomize', overlay], { encoding: 'utf8' });
  });

  test('gives the program its settings, by names that it reads', () => {
    for (const kind of ['ConfigMap', 'Secret']) {
      const [text = ''] = documentsOf(built, kind);
      const names = [...text.matchAll(/^ {2}([A-Z_]+): /gm)].map(([, name]) => String(name));
      expect(names.length).toBeGreaterThan(1);
      expect(names.filter((name) => !known.has(name))).toEqual([]);
      const hashed = /^ {2}name: (orders-[a-z0-9]{10})$/m.exec(text)?.[1];
      expect(documentsOf(built, 'Deployment')[0]).toContain(`name: ${hashed}\n`);
    }
  });

  test('has its own scale, and is ready when the program says so', () => {
    const [deployment = ''] = documentsOf(built, 'Deployment');
    expect(deployment).toContain('image: registry.example.com/orders:1.0.0\n');
    expect(deployment).not.toContain('replicas:');
    const readiness = /readinessProbe:\n +httpGet:\n +path: (.*)\n/.exec(deployment)?.[1];
    expect(program).toContain(`app.get('${readiness}'`);
    const port = /containerPort: (\d+)/.exec(deployment)?.[1];
    expect(documentsOf(built, 'ConfigMap')[0]).toContain(`PORT: "${port}"\n`);
    const [scaler = ''] = documentsOf(built, 'HorizontalPodAutoscaler');
    expect(scaler).toMatch(/scaleTargetRef:\n.*\n +kind: Deployment\n +name: orders\n/);
    for (const kind of ['Service', 'PodDisruptionBudget'])
      expect(documentsOf(built, kind)[0]).toContain('app.kubernetes.io/name: orders\n');
  });
});

describeWith(['compose-config'], 'deploy/compose/resource-server.yaml', () => {
  const file = join(root, 'deploy/compose/resource-server.yaml');
  const variables = {
    ...{ PUBLIC_HOST: 'auth.example.org', TLS_DIR: '/srv/tls' },
    ...{ AUTH_CLIENT_ID: 'id', AUTH_CLIENT_SECRET: 'secret' },
  };
  const secrets = join(folder, 'secrets.env');
  writeFileSync(secrets, execFileSync('sh', [join(root, 'deploy/compose/make-secrets.sh')]));
  const load = (env: object) =>
    spawnSync(findTool('compose-config') ?? '', [file, secrets], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...env } as NodeJS.ProcessEnv,
    });

  test('is the split service, and one that reaches no database', () => {
    const { stdout, stderr } = load(variables);
    expect(stderr).toBe('');
    const { services } = JSON.parse(stdout) as {
      services: Record<string, { readonly [member: string]: unknown }>;
    };
    expect(Object.keys(services).sort()).toEqual([
      ...['auth', 'mongo', 'nginx', 'orders', 'redis', 'users'],
    ]);
    const { orders = {} } = services;
    expect(orders).toMatchObject({ read_only: true, cap_drop: ['ALL'], scale: 2 });
    expect(Object.keys(orders['networks'] as object)).toEqual(['edge']);
    const { NODE_EXTRA_CA_CERTS: _, ...environment } = orders['environment'] as object as Record<
      string,
      string
    >;
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
    expect(environment['AUTH_URL']).toBe('https://auth.example.org');
  });

  test.each(['AUTH_CLIENT_ID', 'AUTH_CLIENT_SECRET'])('names %s where it is missing', (name) => {
    const { status, stderr } = load({ ...variables, [name]: '' });
    expect([status === 0, stderr]).toEqual([false, expect.stringContaining(name)]);
  });
});
