import { createTraffic } from '../../../src/platform/http/traffic';
import { createMetrics } from '../../../src/platform/telemetry/metrics';

function trafficAt() {
  const clock = { ms: 0 };
  const traffic = createTraffic(createMetrics(), () => clock.ms);
  const answer = (requests: number, ms: number) => {
    for (let i = 0; i < requests; i += 1) traffic.count();
    clock.ms += ms;
  };
  return { traffic, answer };
}

test('work rests while ten requests a second are answered, and not without', () => {
  const { traffic, answer } = trafficAt();
  answer(9, 1000);
  expect(traffic.restMs(50, 3)).toBe(0);
  answer(10, 1000);
  expect(traffic.restMs(50, 3)).toBe(150);
  answer(0, 500);
  expect(traffic.restMs(50, 1)).toBe(50);
  answer(0, 500);
  expect(traffic.restMs(50, 3)).toBe(0);
});

test('requests of long ago do not count', () => {
  const { traffic, answer } = trafficAt();
  answer(100, 60_000);
  expect(traffic.restMs(50, 3)).toBe(0);
});

test('a rest is bounded', () => {
  const { traffic, answer } = trafficAt();
  answer(10, 1000);
  expect(traffic.restMs(60_000, 3)).toBe(2000);
});
