import { withOneRetry } from '../../src/kernel/one-retry';

function failing(times: number) {
  const calls: number[] = [];
  const run = async () => {
    calls.push(calls.length + 1);
    if (calls.length <= times) throw new Error(`failure ${calls.length}`);
    return 'done';
  };
  return { calls, run };
}

test('runs once more after a failure, and never a third time', async () => {
  const once = failing(1);
  expect(await withOneRetry(once.run, {})).toBe('done');
  expect(once.calls).toEqual([1, 2]);
  const twice = failing(2);
  await expect(withOneRetry(twice.run, { pauseMs: 1 })).rejects.toThrow('failure 2');
  expect(twice.calls).toEqual([1, 2]);
});

test('an error that is not retried is thrown at once', async () => {
  const { calls, run } = failing(1);
  const isRetried = (error: unknown) => (error as Error).message !== 'failure 1';
  await expect(withOneRetry(run, { isRetried })).rejects.toThrow('failure 1');
  expect(calls).toEqual([1]);
});
