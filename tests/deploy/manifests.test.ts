import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settings } from '../../src/kernel/config/config';
import { root } from '../support/balancers';
import { documentsOf, kubernetesFolder } from '../support/manifests';
import { describeWith, findTool } from '../support/tools';

const folder = mkdtempSync(join(tmpdir(), 'manifests-'));
afterAll(() => rmSync(folder, { recursive: true }));

const known = new Set(
  Object.values(settings).flatMap((section) => Object.values(section).map(({ env }) => env)),
);
/** A setting's name with a typing error would be ignored by the service without a word. */
const unknown = (names: Iterable<string>) =>
  [...names].map((name) => name.replace(/_FILE$/, '')).filter((name) => !known.has(name));
const tool = (name: string) => findTool(name) ?? '';

describe('settings in the manifests', () => {
  test('Kubernetes: every variable is one of the service', () => {
    const base = join(root, 'deploy', 'kubernetes', 'base');
    const literals = [
      ...readFileSync(join(base, 'kustomization.yaml'), 'utf8').matchAll(/^ +- ([A-Z_]+)=/gm),
    ].map(([, name = '']) => name);
    const env = [
      ...readFileSync(join(base, 'deployment.yaml'), 'utf8').matchAll(/^ +- name: ([A-Z_]+)$/gm),
    ].map(([, name = '']) => name);
    expect(literals.length + env.length).toBeGreaterThan(10);
    expect(unknown([...literals, ...env])).toEqual([]);
  });

  test('Kubernetes: the autoscaler measures against all that the workers can use', () => {
    const text = readFileSync(
      join(root, 'deploy', 'kubernetes', 'base', 'deployment.yaml'),
      'utf8',
    );
    const cores = (block: string) => new RegExp(`${block}:\\n +cpu: "?(\\d+)"?`).exec(text)?.[1];
    expect(cores('requests')).toMatch(/^\d+$/);
    // Utilization is a share of the request; WORKERS=auto counts the limit.
    expect(cores('requests')).toBe(cores('limits'));
  });

  test('Swarm and Compose: the edge follows containers that come back with another address', () => {
    for (const file of ['compose.yaml', 'deploy/swarm/stack.yaml']) {
      expect(readFileSync(join(root, file), 'utf8')).toMatch(/^ +EDGE_RESOLVER: .*127\.0\.0\.11/m);
    }
  });

  test('Swarm and Compose: likewise', () => {
    for (const file of ['compose.yaml', 'deploy/swarm/stack.yaml']) {
      const text = readFileSync(join(root, file), 'utf8');
      const names = [...text.matchAll(/^ {4,6}([A-Z][A-Z_]+):/gm)]
        .map(([, name = '']) => name)
        .filter(
          (name) =>
            !/^(EDGE|NGINX|NODE_IMAGE|MONGO|REDIS_PASSWORD|API_HOSTS|TRUSTED_PROXIES)/.test(name) ||
            known.has(name.replace(/_FILE$/, '')),
        );
      expect([file, names.length > 5, unknown(names)]).toEqual([file, true, []]);
    }
  });
});

describe('the shipped manifests', () => {
  const read = (file: string) => readFileSync(join(root, file), 'utf8');
  const files = [
    'compose.yaml',
    'deploy/swarm/stack.yaml',
    'deploy/kubernetes/base/deployment.yaml',
  ];

  test('can send mail, and does not use the root user of MongoDB', () => {
    for (const file of files)
      expect([file, read(file)]).toEqual([file, expect.stringMatching(/SMTP_URL/)]);
    expect(read('deploy/kubernetes/base/network-policy.yaml')).toMatch(/port: 465[\s\S]*port: 587/);
    for (const file of files)
      expect([file, read(file)]).not.toEqual([
        file,
        expect.stringMatching(/mongodb(\+srv)?:\/\/root/),
      ]);
    expect(read('compose.yaml')).toContain(
      './deploy/compose/mongo-users.js:/docker-entrypoint-initdb.d/10-users.js:ro',
    );
    expect(read('deploy/compose/mongo-users.js')).toContain(
      "roles: [{ role: 'readWrite', db: 'auth' }]",
    );
  });

  test('every image of others is one that pin-images.sh gives a digest, and so is the base of ours', () => {
    const bin = mkdtempSync(join(folder, 'bin-'));
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
    const pin = (answer: string) => {
      writeFileSync(join(bin, 'docker'), `#!/bin/sh\necho ${answer}\n`, { mode: 0o755 });
      return spawnSync('sh', [join(root, 'deploy', 'pin-images.sh')], {
        encoding: 'utf8',
        env: { PATH: `${bin}:${process.env['PATH']}` },
      });
    };
    const pinned = Object.fromEntries(
      pin(digest)
        .stdout.trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    );
    const images = ['compose.yaml', 'deploy/swarm/stack.yaml'].flatMap((file) =>
      [...read(file).matchAll(/(?:image|NODE_IMAGE): (.*)/g)].map(([, image = '']) => image),
    );
    expect(images.length).toBeGreaterThan(5);
    for (const image of images.filter(
      (one) => one !== 'auth-api:latest' && !one.startsWith('${API_IMAGE:?'),
    )) {
      const [, name = '', tag = ''] = /^\$\{([A-Z_]+):-(.+)\}$/.exec(image) ?? [];
      expect([image, pinned[name]]).toEqual([image, `${tag}@${digest}`]);
    }
    expect(read('Dockerfile')).toContain(`ARG NODE_IMAGE=${pinned['NODE_IMAGE']?.split('@')[0]}`);
    expect(pin('').status).not.toBe(0);
  });
});

describeWith(['compose-config'], 'compose.yaml', () => {
  const secrets = join(folder, 'secrets.env');
  writeFileSync(secrets, execFileSync('sh', [join(root, 'deploy', 'compose', 'make-secrets.sh')]));
  const load = (file: string) =>
    spawnSync(tool('compose-config'), [join(root, 'compose.yaml'), file], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });

  test("is loaded by Docker Compose's own loader, and what the containers rely on is there", () => {
    const { stdout, stderr } = load(secrets);
    expect(stderr).toBe('');
    const { services } = JSON.parse(stdout) as {
      services: Record<string, Record<string, unknown>>;
    };
    expect(Object.keys(services).sort()).toEqual(['api1', 'api2', 'mongo', 'nginx', 'redis']);
    for (const name of ['api1', 'api2']) {
      expect(services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
      expect(services[name]?.['depends_on']).toMatchObject({
        mongo: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    // Only the edge is reachable from outside.
    expect(Object.keys(services).filter((name) => services[name]?.['ports'] !== undefined)).toEqual(
      ['nginx'],
    );
    const mounts = services['nginx']?.['volumes'] as { source: string }[];
    expect(mounts.filter(({ source }) => spawnSync('test', ['-e', source]).status !== 0)).toEqual(
      [],
    );
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
      spawnSync(tool('docker'), ['stack', 'config', '-c', file], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], ...env },
      });
    const { stdout, stderr, status } = run({ API_IMAGE: 'registry.example/auth-api:1.0.0' });
    expect([stderr, status]).toEqual(['', 0]);
    expect(stdout).toContain('order: start-first');
    expect(run({}).status).not.toBe(0);
  });
});

describeWith(['kubectl'], 'Kubernetes rolls every changed setting', () => {
  /** The pods as an apply would ask for them, after `edit` in the operator's folder. */
  function pods(edit: (overlay: string) => void = () => undefined): string {
    const { overlay } = kubernetesFolder(folder);
    edit(overlay);
    const built = execFileSync(tool('kubectl'), ['kustomize', overlay], { encoding: 'utf8' });
    return built.split(/^---$/m).find((text) => /^kind: Deployment$/m.test(text)) ?? '';
  }
  const replacing = (file: string, from: string | RegExp, to: string) => (overlay: string) => {
    const path = join(overlay, file);
    const before = readFileSync(path, 'utf8');
    const after = before.replace(from, to);
    expect(after).not.toBe(before);
    writeFileSync(path, after);
  };

  test('an unchanged manifest rolls nothing', () => {
    expect(pods()).toContain('kind: Deployment');
    expect(pods()).toBe(pods());
  });

  test.each([
    [
      'τ in the overlay',
      replacing(
        'kustomization.yaml',
        '      - PUBLIC_URL=',
        '      - NEAR_CACHE_TTL_MS=10\n      - PUBLIC_URL=',
      ),
    ],
    [
      'a setting of the base',
      replacing(
        '../../base/kustomization.yaml',
        /SHUTDOWN_DEADLINE_MS=\d+/,
        'SHUTDOWN_DEADLINE_MS=19000',
      ),
    ],
    ['the database number in REDIS_URL', replacing('secrets.env', ':6379', ':6379/3')],
    ['another MONGODB_URI', replacing('secrets.env', '.net/auth', '.net/other')],
    [
      'another key',
      replacing('secrets.env', 'key-encryption-secret=', 'key-encryption-secret=0123'),
    ],
  ])('%s asks for other pods', (_, edit) => {
    expect(pods(edit)).not.toBe(pods());
  });

  test('no setting comes from a name that stays the same', () => {
    const sources = [
      ...pods().matchAll(/(?:configMapRef|secretKeyRef):\n(?:\s+key: .*\n)?\s+name: (\S+)/g),
    ].map(([, name]) => name);
    expect(sources.length).toBeGreaterThanOrEqual(4);
    for (const name of sources) expect(name).toMatch(/^auth-api-[a-z0-9]{10}$/);
  });
});

describeWith(['kustomize', 'kubeconform'], 'the Kubernetes manifests', () => {
  const schemas = process.env['DEPLOY_SCHEMAS'] ?? '';
  const build = (name: string) =>
    execFileSync(tool('kustomize'), ['build', kubernetesFolder(folder, name).overlay], {
      encoding: 'utf8',
    });

  function conform(text: string) {
    const location = join(schemas, '{{ .ResourceKind }}{{ .KindSuffix }}.json');
    const args = [
      '-strict',
      '-output',
      'json',
      '-summary',
      '-skip',
      'ServiceMonitor',
      '-schema-location',
      location,
    ];
    const { stdout, stderr } = spawnSync(tool('kubeconform'), [...args, '-'], {
      input: text,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as {
      resources: { kind: string; msg: string }[];
      summary: Record<string, number>;
    };
  }

  test.each([
    ['example', 11, 1],
    ['split', 19, 1],
    ['resource-server', 7, 0],
  ])('%s: valid, strictly, for the newest Kubernetes of the schemas', (name, valid, skipped) => {
    const { resources, summary } = conform(build(name));
    expect(resources ?? []).toEqual([]);
    expect(summary).toMatchObject({ valid, invalid: 0, errors: 0, skipped });
  });

  test('a wrong field is found, so that the test above says something', () => {
    const { summary } = conform(build('example').replace('maxUnavailable: 0', 'maxUnavailabel: 0'));
    expect(summary['invalid']).toBe(1);
  });

  test.each([
    ['example', 1],
    ['split', 2],
  ])(
    '%s: every selector chooses the pods, and only the service and its own policy do',
    (overlay, count) => {
      const built = build(overlay);
      const labels =
        'app\\.kubernetes\\.io/(?:instance: \\w+\\s+app\\.kubernetes\\.io/)?name: auth-api';
      for (const kind of ['Service', 'Deployment', 'PodDisruptionBudget', 'NetworkPolicy']) {
        const found = documentsOf(built, kind);
        expect([kind, found.length]).toEqual([kind, kind === 'Service' ? 2 * count : count]);
        for (const text of found)
          expect(text).toMatch(
            new RegExp(`(selector|podSelector|matchLabels):\\s+(matchLabels:\\s+)?${labels}`),
          );
      }
      for (const policy of documentsOf(built, 'NetworkPolicy'))
        expect(policy).toMatch(/podSelector:\n\s+matchLabels:\n\s+k8s-app: kube-dns\n/);
    },
  );
});
