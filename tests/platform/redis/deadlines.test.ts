import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createDeadlines, type Wait } from '../../../src/platform/redis/deadlines';
import { until } from '../../support/until';

const TIMEOUT_MS = 10_000;
const clock = () => performance.now();

function waitOf(ms: number, expire: () => void = () => {}): Wait {
  return { settled: false, deadline: clock() + ms, expire };
}

test('a wait that has ended is released long before its deadline', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const deadlines = createDeadlines(clock);
  // In a function of its own, so that nothing on the stack holds on to it.
  const begin = (): { wait: Wait; reply: WeakRef<object> } => {
    const reply = { text: 'the reply' };
    const wait = waitOf(TIMEOUT_MS, () => reply.text);
    deadlines.add(wait);
    return { wait, reply: new WeakRef(reply) };
  };
  const replies = Array.from({ length: 10 }, () => {
    const { wait, reply } = begin();
    wait.settled = true;
    return reply;
  });
  deadlines.add(waitOf(TIMEOUT_MS));
  // A WeakRef holds its target to the end of the turn that made it.
  await delay(1);
  collect();
  expect(replies.filter((reply) => reply.deref() !== undefined)).toEqual([]);
  deadlines.close();
});

test('open waits expire in order, and the oldest of them is known', async () => {
  const deadlines = createDeadlines(clock);
  const expired: number[] = [];
  const waits = [0, 1, 2, 3].map((n) => waitOf(30, () => expired.push(n)));
  for (const wait of waits) deadlines.add(wait);
  (waits[0] as Wait).settled = true;
  (waits[2] as Wait).settled = true;
  expect(deadlines.oldest()).toBe(waits[1]?.deadline);
  await until('two waits have expired', () => expired.length === 2);
  expect(expired).toEqual([1, 3]);
  expect(deadlines.oldest()).toBeUndefined();
  deadlines.add(waitOf(TIMEOUT_MS, () => expired.push(4)));
  deadlines.close();
  expect(expired).toEqual([1, 3, 4]);
});
