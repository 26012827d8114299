// Installs what the tests need beside Node: on Debian and Ubuntu as root, with apt. Elsewhere it
// says which tests will be skipped. Never fails: a test that lacks its program is reported as
// skipped, with the reason. `--check` only prints.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';

const TOOLS = [
  {
    program: 'redis-server',
    package: 'redis-server',
    tests: 'the cache, rate limits and coherence over a real Redis',
  },
  { program: 'nginx', package: 'nginx', tests: 'the service behind NGINX' },
  { program: 'haproxy', package: 'haproxy', tests: 'the service behind HAProxy' },
  { program: 'wrk', package: 'wrk', tests: 'the benchmarks driven by wrk' },
  { program: 'chromium', package: 'chromium', tests: 'the docs page in a browser' },
  { program: 'ip', package: 'iproute2', tests: 'several hosts in network namespaces' },
  { program: 'iptables', package: 'iptables', tests: 'network faults' },
  { program: 'logrotate', package: 'logrotate', tests: 'the rotation of log files' },
  { program: 'promtool', package: 'prometheus', tests: "the alerts by Prometheus's own tool" },
  {
    program: 'faketime',
    package: 'faketime',
    tests: 'hosts whose clocks are apart, as libraries see them too',
  },
];
const APT_TIMEOUT_MS = 600_000;
const POLICY = '/usr/sbin/policy-rc.d';

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
const isThere = (program) =>
  folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
const missingTools = () => TOOLS.filter(({ program }) => !isThere(program));

function whyNotHere() {
  if (
    !existsSync('/etc/os-release') ||
    !/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  )
    return 'this is not Debian or Ubuntu';
  if (process.getuid?.() !== 0) return 'this is not root';
  if (!isThere('apt-get')) return 'there is no apt-get';
  return undefined;
}

function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: APT_TIMEOUT_MS,
  });
}

/**
 * Packages of servers start them at once; policy-rc.d (invoke-rc.d(8)) with 101 forbids that while
 * we install.
 */
function withoutStartingServices(work) {
  const ours = !existsSync(POLICY);
  if (ours) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
    chmodSync(POLICY, 0o755);
  }
  try {
    work();
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

/** They must not start at the next boot either. Only units of what was installed here. */
function disable(installed) {
  if (!existsSync('/run/systemd/system')) return;
  for (const unit of installed.filter((name) =>
    ['redis-server', 'nginx', 'haproxy', 'prometheus'].includes(name),
  )) {
    spawnSync('systemctl', ['disable', unit], { stdio: 'ignore', timeout: 10_000 });
  }
}

function install(missing) {
  console.log(
    `provision: installing ${missing.map((tool) => tool.package).join(', ')} with apt: the tests run real servers; none is left running.`,
  );
  const started = performance.now();
  withoutStartingServices(() => {
    apt('update');
    try {
      apt('install', '-y', '--no-install-recommends', ...missing.map((tool) => tool.package));
    } catch {
      // One that this release lacks must not keep the others out.
      for (const tool of missing) {
        try {
          apt('install', '-y', '--no-install-recommends', tool.package);
        } catch (error) {
          console.log(`provision: ${tool.package} could not be installed: ${firstLine(error)}`);
        }
      }
    }
  });
  disable(missing.map(({ package: name }) => name));
  console.log(`provision: done in ${Math.round((performance.now() - started) / 1000)} s`);
}

const firstLine = (error) =>
  String(error.stderr ?? '')
    .trim()
    .split('\n')[0] || error.message;

function report(reason) {
  for (const { program, package: name, tests } of missingTools()) {
    console.log(
      `provision: ${program} is missing (package ${name}), not installed because ${reason}: skipped are the tests of ${tests}.`,
    );
  }
}

try {
  const missing = missingTools();
  const reason = process.argv.includes('--check') ? 'this is a check' : whyNotHere();
  if (missing.length > 0 && reason === undefined) install(missing);
  report(reason ?? 'apt failed');
} catch (error) {
  console.log(`provision: failed: ${firstLine(error)}`);
  report('apt failed');
}
