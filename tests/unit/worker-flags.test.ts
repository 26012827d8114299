import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { workerFlags } from '../../src/cluster/worker-flags';

const ROOT = join(__dirname, '../../..');

test("the operator's flags win over ours, but a heap limit comes from its setting", () => {
  const flags = workerFlags({ heapLimitMb: 64, given: ['--max-semi-space-size=16', '--max-old-space-size=4096'] });
  expect(flags.lastIndexOf('--max-semi-space-size=16')).toBeGreaterThan(flags.indexOf('--max-semi-space-size=8'));
  expect(flags.at(-1)).toBe('--max-old-space-size=96');
});

test('PM2 is told the same', () => {
  const { apps } = createRequire(__filename)(join(ROOT, 'ecosystem.config.js')) as { apps: { name: string; node_args?: string[] }[] };
  expect(apps.at(-1)?.node_args).toEqual(workerFlags({ heapLimitMb: 512 }));
});

/** Allocates as a loaded worker does, some of it living for a while. */
const BUSY = `
  const recent = [];
  for (let i = 0; i < 3e6; i += 1) recent[i % 60_000] = { i, text: 'x' + i };`;

/** What V8 makes of the flags. */
function youngGenerationMb(flags: readonly string[]): number {
  const program = `${BUSY}
    const young = require('node:v8').getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    console.log(young.physical_space_size / 2 ** 20);`;
  return Number(spawnSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8' }).stdout);
}

test('with them the young generation stays within two halves of 8 MB, without them it does not', () => {
  expect(youngGenerationMb(workerFlags({ heapLimitMb: 512 }))).toBeLessThanOrEqual(17);
  expect(youngGenerationMb([])).toBeGreaterThan(20);
});

/** Time that V8's other threads spent on collections of the young generation. */
function helpersMs(flags: readonly string[]): number {
  const { stdout } = spawnSync(process.execPath, [...flags, '--trace-gc-nvp', '-e', BUSY], { encoding: 'utf8' });
  expect(stdout).toMatch(/ gc=s /);
  return [...stdout.matchAll(/ background\.scavenge\.parallel=([\d.]+)/g)].reduce((sum, [, ms]) => sum + Number(ms), 0);
}

test('with them no thread beside the worker collects young garbage, unless the operator says otherwise', () => {
  expect(helpersMs(workerFlags({ heapLimitMb: 512 }))).toBe(0);
  expect(helpersMs(workerFlags({ heapLimitMb: 512, given: ['--parallel-scavenge'] }))).toBeGreaterThan(0);
});
