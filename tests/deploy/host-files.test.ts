import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseConfig, settings } from '../../src/kernel/config/config';
import { exitCodes } from '../../src/runtime/exit-codes';
import { root, until } from '../support/service';
import { describeWith, findTool } from '../support/tools';

const unitFile = path.join(root, 'deploy/systemd/auth-api.service');
const unit = readFileSync(unitFile, 'utf8');
const directive = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';

describe('the systemd unit', () => {
  test('leaves a shutdown its time, and does not restart after a fault of the configuration', () => {
    const { server } = parseConfig({});
    const needsMs = server.shutdownDelayMs + server.shutdownDeadlineMs;
    expect(Number(directive('TimeoutStopSec')) * 1000).toBeGreaterThan(needsMs);
    expect(directive('RestartPreventExitStatus')).toBe(`${exitCodes.data} ${exitCodes.config}`);
  });

  test('sets only settings of the service', () => {
    const known = Object.values(settings).flatMap((section) =>
      Object.values(section).map(({ env }) => env as string),
    );
    const names = [...unit.matchAll(/^Environment=(\w+)=/gm)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describeWith(['systemd-analyze'], 'systemd itself', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'unit-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** Complaints about this unit; those about others of the machine do not count. */
  const verify = (text: string) => {
    const file = path.join(folder, 'auth-api.service');
    // The program of this machine may lie elsewhere.
    writeFileSync(file, text.replace('/usr/bin/node', process.execPath));
    const { stdout, stderr } = spawnSync(findTool('systemd-analyze') ?? '', ['verify', file], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    return `${stdout}${stderr}`.split('\n').filter((line) => line.includes('auth-api.service'));
  };

  test('finds nothing wrong with the unit, and something with a broken one', () => {
    expect(verify(unit)).toEqual([]);
    expect(verify(unit.replace('KillMode=mixed', 'KillMod=mixed'))).toHaveLength(1);
    expect(verify(unit.replace('TimeoutStopSec=20', 'TimeoutStopSec=soon'))).toHaveLength(1);
  });
});

describeWith(['logrotate'], 'the rotation of a log file', () => {
  test('keeps every line, and the file that the writer goes on with begins anew', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'rotate-'));
    const log = path.join(folder, 'auth-api.log');
    const rules = readFileSync(path.join(root, 'deploy/logrotate/auth-api'), 'utf8');
    const file = path.join(folder, 'rules');
    writeFileSync(file, rules.replaceAll('/var/log/auth-api', folder), { mode: 0o644 });
    const rotate = () =>
      spawnSync(findTool('logrotate') ?? '', ['--force', '--state', `${folder}/state`, file], {
        encoding: 'utf8',
      });
    const writer = spawn('sh', ['-c', 'echo one; read line; echo two; read line'], {
      stdio: ['pipe', openSync(log, 'a'), 'ignore'],
    });
    try {
      await until('the first line', () => statSync(log).size > 0);
      expect(rotate()).toMatchObject({ status: 0, stderr: '' });
      writer.stdin?.write('go\n');
      await until('the second line', () => statSync(log).size > 0);
      expect(readFileSync(log, 'utf8')).toBe('two\n');
      expect(readFileSync(`${log}.1`, 'utf8')).toBe('one\n');
    } finally {
      writer.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
});
