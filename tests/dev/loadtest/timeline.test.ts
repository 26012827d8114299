import type { Tick } from '../../../dev/loadtest/load/recorder';
import { createTimeline, joined } from '../../../dev/loadtest/timeline';

const PROCESSES = 4;
const tick = (second: number): Tick => ({ second, kinds: {}, busy: 0, backlog: 1 });

/** A timeline, and how many ticks were joined for it. */
function counting() {
  let ticks = 0;
  const timeline = createTimeline(PROCESSES, (second, parts) => {
    ticks += parts.length;
    return joined(second, parts);
  });
  return { timeline, ticks: () => ticks };
}

test('each tick costs the same after an hour as at first', () => {
  const { timeline, ticks } = counting();
  const SECONDS = 3600;
  for (let second = 0; second < SECONDS; second += 1)
    for (let n = 0; n < PROCESSES; n += 1) {
      timeline.add(tick(second));
      timeline.recent(1);
      timeline.recent(10);
    }
  expect(timeline.seconds()).toHaveLength(SECONDS);
  expect(ticks()).toBe(SECONDS * PROCESSES);
});

test('a tick that comes late is counted, and a second that lacks one is shown in the end', () => {
  const { timeline } = counting();
  for (let n = 0; n < PROCESSES; n += 1) timeline.add(tick(0));
  for (let n = 1; n < PROCESSES; n += 1) timeline.add(tick(1));
  expect(timeline.recent(10).map(({ second }) => second)).toEqual([0]);
  for (let n = 0; n < PROCESSES; n += 1) timeline.add(tick(4));
  expect(timeline.recent(2).map(({ second }) => second)).toEqual([1, 4]);
  expect(timeline.seconds()[1]?.backlog).toBe(PROCESSES - 1);
  timeline.add(tick(1));
  expect(timeline.seconds()[1]?.backlog).toBe(PROCESSES);
});
