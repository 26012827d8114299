import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settings } from '../../src/config';
import { root } from '../support/balancers';
import { describeWith, findTool } from '../support/tools';

const folder = mkdtempSync(join(tmpdir(), 'manifests-'));
afterAll(() => rmSync(folder, { recursive: true }));

const known = new Set(Object.values(settings).flatMap((section) => Object.values(section).map(({ env }) => env)));
/** A setting's name with a typing error would be ignored by the service without a word. */
const unknown = (names: Iterable<string>) => [...names].map((name) => name.replace(/_FILE$/, '')).filter((name) => !known.has(name));
const tool = (name: string) => findTool(name) ?? '';

describe('settings in the manifests', () => {
  test('Kubernetes: every variable is one of the service', () => {
    const base = join(root, 'deploy', 'kubernetes', 'base');
    const literals = [...readFileSync(join(base, 'kustomization.yaml'), 'utf8').matchAll(/^ +- ([A-Z_]+)=/gm)].map(([, name = '']) => name);
    const env = [...readFileSync(join(base, 'deployment.yaml'), 'utf8').matchAll(/^ +- name: ([A-Z_]+)$/gm)].map(([, name = '']) => name);
    expect(literals.length + env.length).toBeGreaterThan(10);
    expect(unknown([...literals, ...env])).toEqual([]);
  });

  test('Swarm and Compose: likewise', () => {
    for (const file of ['compose.yaml', 'deploy/swarm/stack.yaml']) {
      const text = readFileSync(join(root, file), 'utf8');
      const names = [...text.matchAll(/^ {4,6}([A-Z][A-Z_]+):/gm)]
        .map(([, name = '']) => name)
        .filter(
          (name) => !/^(EDGE|NGINX|MONGO|REDIS_PASSWORD|API_HOSTS|TRUSTED_PROXIES)/.test(name) || known.has(name.replace(/_FILE$/, '')),
        );
      expect([file, names.length > 5, unknown(names)]).toEqual([file, true, []]);
    }
  });
});

describeWith(['compose-config'], 'compose.yaml', () => {
  const secrets = join(folder, 'secrets.env');
  writeFileSync(secrets, execFileSync('sh', [join(root, 'deploy', 'compose', 'make-secrets.sh')]));
  const load = (file: string) =>
    spawnSync(tool('compose-config'), [join(root, 'compose.yaml'), file], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });

  test("is loaded by Docker Compose's own loader, and what the containers rely on is there", () => {
    const { stdout, stderr } = load(secrets);
    expect(stderr).toBe('');
    const { services } = JSON.parse(stdout) as { services: Record<string, Record<string, unknown>> };
    expect(Object.keys(services).sort()).toEqual(['api1', 'api2', 'mongo', 'nginx', 'redis']);
    for (const name of ['api1', 'api2']) {
      expect(services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
      expect(services[name]?.['depends_on']).toMatchObject({
        mongo: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    // Only the edge is reachable from outside.
    expect(Object.keys(services).filter((name) => services[name]?.['ports'] !== undefined)).toEqual(['nginx']);
    const mounts = services['nginx']?.['volumes'] as { source: string }[];
    expect(mounts.filter(({ source }) => spawnSync('test', ['-e', source]).status !== 0)).toEqual([]);
  });

  test('names the secret that is missing', () => {
    const { status, stderr } = load('/dev/null');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/make-secrets\.sh/);
  });
});

describeWith(['docker'], 'the Swarm stack', () => {
  test('is accepted by `docker stack config`', () => {
    const file = join(root, 'deploy', 'swarm', 'stack.yaml');
    const run = (env: Record<string, string>) =>
      spawnSync(tool('docker'), ['stack', 'config', '-c', file], { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } });
    const { stdout, stderr, status } = run({ API_IMAGE: 'registry.example/auth-api:1.0.0' });
    expect([stderr, status]).toEqual(['', 0]);
    expect(stdout).toContain('order: start-first');
    expect(run({}).status).not.toBe(0);
  });
});

describeWith(['kustomize', 'kubeconform'], 'the Kubernetes manifests', () => {
  const schemas = process.env['DEPLOY_SCHEMAS'] ?? '';
  const build = () =>
    execFileSync(tool('kustomize'), ['build', join(root, 'deploy', 'kubernetes', 'overlays', 'example')], { encoding: 'utf8' });

  function conform(text: string) {
    const location = join(schemas, '{{ .ResourceKind }}{{ .KindSuffix }}.json');
    const args = ['-strict', '-output', 'json', '-summary', '-skip', 'ServiceMonitor', '-schema-location', location];
    const { stdout, stderr } = spawnSync(tool('kubeconform'), [...args, '-'], { input: text, encoding: 'utf8' });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as { resources: { kind: string; msg: string }[]; summary: Record<string, number> };
  }

  test('are valid, strictly, for the newest Kubernetes of the schemas', () => {
    const { resources, summary } = conform(build());
    expect(resources ?? []).toEqual([]);
    expect(summary).toMatchObject({ valid: 10, invalid: 0, errors: 0, skipped: 1 });
  });

  test('a wrong field is found, so that the test above says something', () => {
    const { summary } = conform(build().replace('maxUnavailable: 0', 'maxUnavailabel: 0'));
    expect(summary['invalid']).toBe(1);
  });

  test('every selector chooses the pods, and only the service and its own policy do', () => {
    const documents = build().split(/^---$/m);
    const of = (kind: string) => documents.filter((text) => new RegExp(`^kind: ${kind}$`, 'm').test(text)).join();
    for (const kind of ['Service', 'Deployment', 'PodDisruptionBudget', 'NetworkPolicy']) {
      expect(of(kind)).toMatch(/(selector|podSelector|matchLabels):\s+(matchLabels:\s+)?app\.kubernetes\.io\/name: auth-api/);
    }
    expect(of('NetworkPolicy')).toMatch(/podSelector:\n\s+matchLabels:\n\s+k8s-app: kube-dns\n/);
  });
});
