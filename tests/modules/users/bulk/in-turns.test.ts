import { mapInTurns } from '../../../../src/modules/users/bulk/in-turns';

/** Keeps the event loop busy. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

it('lets the event loop turn during long work, and keeps the order', async () => {
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const results = await mapInTurns([1, 2, 3, 4, 5], (n) => {
    work(5);
    return n * n;
  });
  isDone = true;
  expect(results).toEqual([1, 4, 9, 16, 25]);
  expect(turns).toBeGreaterThanOrEqual(5);
});
