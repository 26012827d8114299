import { toProblem } from '../../../src/platform/http/to-problem';
import { boundCalls, DatabaseTimeoutError } from '../../../src/platform/mongo/bounded';

test('a call that takes too long rejects with an error that becomes 503; other results are unchanged', async () => {
  const calls = boundCalls(
    {
      slow: () => new Promise((resolve) => setTimeout(resolve, 5000).unref()),
      quick: async (a: number, b: number) => a + b,
      failing: async () => {
        throw new RangeError('its own');
      },
      immediate: () => 'not a promise',
    },
    50,
  );
  await expect(calls.quick(1, 2)).resolves.toBe(3);
  await expect(calls.failing()).rejects.toThrow('its own');
  expect(calls.immediate()).toBe('not a promise');
  const error: unknown = await calls.slow().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DatabaseTimeoutError);
  expect(toProblem(error)).toMatchObject({
    status: 503,
    code: 'database_unavailable',
    headers: { 'Retry-After': '1' },
  });
});
