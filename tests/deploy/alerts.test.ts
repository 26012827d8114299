import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AlertScenario, alertScenarios, promtoolTests } from '../support/alert-scenarios';
import { root } from '../support/balancers';
import { describeWith, findTool } from '../support/tools';

const rulesFile = join(root, 'deploy', 'prometheus', 'rules.yaml');

describeWith(['promtool'], "the alerts, by Prometheus's own promtool", () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const promtool = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(findTool('promtool') ?? '', args, {
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, output: stdout + stderr };
  };
  const check = (scenarios: readonly AlertScenario[], evaluationInterval: string) => {
    const file = join(folder, `${evaluationInterval}.test.yaml`);
    writeFileSync(file, promtoolTests(rulesFile, scenarios, evaluationInterval));
    return promtool('test', 'rules', file);
  };

  test('the rules are valid', () => {
    expect(promtool('check', 'rules', rulesFile)).toMatchObject({ status: 0 });
  });

  test('exactly the right alerts fire in each scenario', () => {
    const minutes = alertScenarios.filter(({ interval }) => interval === undefined);
    expect(check(minutes, '1m')).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });

  test('a slow burn is seen over days', () => {
    const days = alertScenarios.filter(({ interval }) => interval !== undefined);
    expect(days.length).toBeGreaterThan(0);
    expect(check(days, '10m')).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });

  test('a wrong expectation fails, so that the tests above say something', () => {
    const [healthy] = alertScenarios;
    if (healthy === undefined) throw new Error('there is no scenario');
    const wrong = { ...healthy, at: '20m', fires: ['AuthHostDown'] };
    expect(check([wrong], '1m')).toMatchObject({ status: 1 });
  });
});

test('every alert fires in a scenario', () => {
  const names = [...readFileSync(rulesFile, 'utf8').matchAll(/- alert: (\S+)/g)].map(
    ([, name]) => name,
  );
  const fired = alertScenarios.flatMap(({ fires }) => fires);
  expect(names.filter((name) => !fired.includes(name ?? ''))).toEqual([]);
});
