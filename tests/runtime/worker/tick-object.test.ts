import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../../support/service';

/**
 * Measures process.nextTick in a process of its own, before and after ten garbage collections: in
 * processor time, which other work on the machine does not lengthen as it does time.
 */
const MEASURE = `
const { keepTickObject } = require(process.argv[1]);
if (process.argv[2] === 'kept') keepTickObject();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ticks = () => new Promise((resolve) => {
  let left = 100_000;
  const start = process.cpuUsage();
  const step = () => (left-- > 0 ? process.nextTick(step) : resolve(process.cpuUsage(start).user));
  step();
});
async function least() {
  let best = Infinity;
  for (let i = 0; i < 8; i += 1) best = Math.min(best, await ticks());
  return best;
}
(async () => {
  const before = await least();
  for (let i = 0; i < 10; i += 1) {
    await pause(20);
    gc();
    await pause(20);
    await ticks();
  }
  console.log(JSON.stringify({ slower: (await least()) / before }));
})();
`;

function slowerAfterCollections(mode: 'kept' | 'plain'): number {
  const module = join(root, 'dist', 'src', 'runtime', 'worker', 'tick-object.js');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '-e', MEASURE, module, mode],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect(stderr).toBe('');
  return (JSON.parse(stdout) as { slower: number }).slower;
}

test('ticks stay fast over garbage collections, and would not by themselves', () => {
  const [kept, plain] = [slowerAfterCollections('kept'), slowerAfterCollections('plain')];
  // If Node has mended it, src/runtime/worker/tick-object.ts can go.
  expect(plain).toBeGreaterThan(2);
  expect(kept).toBeLessThan(plain / 1.5);
}, 150_000);
