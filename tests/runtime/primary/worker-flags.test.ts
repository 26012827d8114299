import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { workerFlags } from '../../../src/runtime/primary/worker-flags';

const ROOT = join(__dirname, '../../../..');

test("the operator's flags override the defaults, but the heap limit comes from its setting", () => {
  const flags = workerFlags({
    heapLimitMb: 64,
    given: ['--max-semi-space-size=16', '--max-old-space-size=4096'],
  });
  expect(flags.lastIndexOf('--max-semi-space-size=16')).toBeGreaterThan(
    flags.indexOf('--max-semi-space-size=8'),
  );
  expect(flags.at(-1)).toBe('--max-old-space-size=96');
});

test('PM2 gets the same flags', () => {
  const { apps } = createRequire(__filename)(join(ROOT, 'ecosystem.config.js')) as {
    apps: { name: string; node_args?: string[] }[];
  };
  expect(apps.at(-1)?.node_args).toEqual(workerFlags({ heapLimitMb: 512 }));
});

/** Allocates like a loaded worker: most objects are short-lived, some survive. */
const BUSY = `
  const recent = [];
  for (let i = 0; i < 3e6; i += 1) recent[i % 60_000] = { i, text: 'x' + i };`;

/** Effects of the flags, as V8 reports them. */
function youngGenerationMb(flags: readonly string[]): number {
  const program = `${BUSY}
    const young = require('node:v8').getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    console.log(young.physical_space_size / 2 ** 20);`;
  return Number(
    spawnSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8' }).stdout,
  );
}

test('the flags limit the young generation to two semi-spaces of 8 MB', () => {
  expect(youngGenerationMb(workerFlags({ heapLimitMb: 512 }))).toBeLessThanOrEqual(17);
  expect(youngGenerationMb([])).toBeGreaterThan(20);
});

/** Time that V8's helper threads spent on scavenges. */
function helpersMs(flags: readonly string[]): number {
  const { stdout } = spawnSync(process.execPath, [...flags, '--trace-gc-nvp', '-e', BUSY], {
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/ gc=s /);
  return [...stdout.matchAll(/ background\.scavenge\.parallel=([\d.]+)/g)].reduce(
    (sum, [, ms]) => sum + Number(ms),
    0,
  );
}

test('the flags disable parallel scavenges, unless the operator enables them', () => {
  expect(helpersMs(workerFlags({ heapLimitMb: 512 }))).toBe(0);
  expect(
    helpersMs(workerFlags({ heapLimitMb: 512, given: ['--parallel-scavenge'] })),
  ).toBeGreaterThan(0);
});
