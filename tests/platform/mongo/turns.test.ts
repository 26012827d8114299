import { inTurns, type Turn } from '../../../src/platform/mongo/turns';
import { until } from '../../support/until';

/** The lock is free: what is looked at is the turn. */
const locks = {
  withLock: <T>(_name: string, work: (until: Date) => Promise<T>) =>
    work(new Date(Date.now() + 60_000)),
};

describe('work in turns', () => {
  function start(work: (turn: Turn) => Promise<void>) {
    const failed = jest.fn();
    return { failed, looks: inTurns({ name: 'work', locks, work, failed }) };
  }

  test('a close does not wait for a pause', async () => {
    let pauses = 0;
    const { looks, failed } = start(async ({ isOver, pause }) => {
      while (!isOver()) {
        pauses += 1;
        await pause(900);
      }
    });
    await until('the work to pause', () => pauses > 0);
    const sinceMs = performance.now();
    await looks.close();
    expect(performance.now() - sinceMs).toBeLessThan(500);
    expect(failed).not.toHaveBeenCalled();
  });

  test('a pause ends with its turn', async () => {
    const durationsMs: number[] = [];
    const { looks } = start(async ({ isOver, pause }) => {
      const sinceMs = performance.now();
      while (!isOver()) await pause(60_000);
      durationsMs.push(performance.now() - sinceMs);
    });
    await until('the turn to end', () => durationsMs.length > 0);
    await looks.close();
    expect(durationsMs[0]).toBeGreaterThan(900);
    expect(durationsMs[0]).toBeLessThan(5000);
  });
});
