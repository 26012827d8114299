import { AggregatorRegistry, Histogram, Registry } from 'prom-client';
import { DurationHistogram } from '../../src/observability/duration-histogram';

const options = () => ({
  name: 'durations_seconds',
  help: 'Some durations.',
  labelNames: ['route', 'status'] as ('route' | 'status')[],
  buckets: [0.01, 0.1, 1],
});
const OBSERVED = [
  [{ route: '/a', status: 200 }, [0.001, 0.01, 0.0100001, 0.5, 1, 7]],
  [{ route: '/a', status: 404 }, [0.2]],
  [{ route: '/"b"\n', status: 200 }, [0, 0.1]],
] as const;

function both() {
  const [theirs, ours] = [new Registry(), new Registry()];
  const plain = new Histogram({ ...options(), registers: [theirs] });
  const fast = new DurationHistogram({ ...options(), metrics: ours });
  for (const [labels, seconds] of OBSERVED) {
    const series = fast.series(labels);
    for (const one of seconds) {
      plain.observe(labels, one);
      series.observe(one);
    }
  }
  return { theirs, ours };
}

const lines = (text: string) => text.trim().split('\n').toSorted();

test('it exposes what prom-client would', async () => {
  const { theirs, ours } = both();
  expect(lines(await ours.metrics())).toEqual(lines(await theirs.metrics()));
});

test('it is summed over workers as prom-client would', async () => {
  const { theirs, ours } = both();
  const summed = async (registry: Registry) => {
    const snapshot = JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()));
    return lines(await AggregatorRegistry.aggregate([snapshot, structuredClone(snapshot)]).metrics());
  };
  expect(await summed(ours)).toEqual(await summed(theirs));
  expect((await summed(ours)).join('\n')).toContain('durations_seconds_count{route="/a",status="200"} 12');
});

test('without observations there are none', async () => {
  const metrics = new Registry();
  new DurationHistogram({ ...options(), metrics });
  expect(await metrics.metrics()).toBe('# HELP durations_seconds Some durations.\n# TYPE durations_seconds histogram\n');
});
