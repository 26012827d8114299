import { useOf } from '../limit';
import type { Reading } from '../metrics';
import { latencyAt, refusals } from '../timeline';
import type { Chart, Series } from './chart';
import type { Point } from './points';
import type { Report } from './report';

const SHARES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
] as const;
/** As many as there are colours. */
const MOST_SERIES = 5;

export function chartsOf({ loop, readings }: Report, points: readonly Point[]): readonly Chart[] {
  const seconds = points.map(({ second }) => second + 1);
  const latency = SHARES.map(([name, share]) => ({
    name,
    values: points.map((one) =>
      one.latency.total === 0 ? undefined : latencyAt(one.latency, share),
    ),
  }));
  const rate: Series = {
    name: 'good answers',
    values: points.map(({ answers, statuses, width }) => (answers - refusals(statuses)) / width),
  };
  const level = loop.kind === 'open' ? { level: { name: 'requests due', value: loop.rate } } : {};
  return [
    {
      ...{ id: 'rate', title: 'Rate', unit: '/s', kind: 'lines', seconds },
      series: [rate],
      ...level,
    },
    {
      ...{ id: 'latency', title: 'Latency', unit: ' ms', kind: 'lines', seconds },
      series: latency,
    },
    {
      ...{ id: 'errors', title: 'Errors by status', unit: '/s', kind: 'stacked', seconds },
      series: errorsOf(points),
    },
    {
      ...{ id: 'use', title: 'Processors in use', unit: ' %', kind: 'lines', seconds },
      series: [
        { name: 'busiest load process', values: points.map(({ busy }) => busy * 100) },
        ...usesOf(readings, points),
      ],
    },
    ...queuesOf(readings, points, seconds),
  ];
}

function errorsOf(points: readonly Point[]): readonly Series[] {
  const of = ({ statuses, failures }: Point) => ({
    ...Object.fromEntries(Object.entries(statuses).filter(([status]) => Number(status) >= 400)),
    ...failures,
  });
  const totals = new Map<string, number>();
  for (const point of points)
    for (const [name, count] of Object.entries(of(point)))
      totals.set(name, (totals.get(name) ?? 0) + count);
  const names = [...totals.entries()].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const shown = names.slice(0, names.length > MOST_SERIES ? MOST_SERIES - 1 : MOST_SERIES);
  const values = (isMeant: (name: string) => boolean) =>
    points.map((point) => {
      const counts = Object.entries(of(point)).filter(([name]) => isMeant(name));
      return counts.reduce((sum, [, count]) => sum + count, 0) / point.width;
    });
  const series = shown.map((name) => ({ name, values: values((one) => one === name) }));
  if (names.length <= shown.length) return series;
  return [...series, { name: 'others', values: values((one) => !shown.includes(one)) }];
}

/** A hash counts when it ends, with all its time: over less than this, shares mean nothing. */
const USE_MARGIN_MS = 2000;

/**
 * The readings around the time of each point: they are taken about once a second. `marginMs`: how
 * much earlier and later they may be, at the ends of the run less.
 */
function around(readings: readonly Reading[], points: readonly Point[], marginMs = -500) {
  const [firstMs, lastMs] = [readings[0]?.atMs ?? 0, readings.at(-1)?.atMs ?? 0];
  return points.map(({ second, width }) => {
    const fromMs = Math.max(firstMs, firstMs + second * 1000 - marginMs);
    const toMs = Math.min(lastMs, firstMs + (second + width) * 1000 + marginMs);
    const from = readings.findLast(({ atMs }) => atMs <= fromMs);
    const to = readings.find(({ atMs }) => atMs >= toMs);
    return from === undefined || to === undefined || to.atMs <= from.atMs ? undefined : [from, to];
  });
}

function usesOf(readings: readonly Reading[], points: readonly Point[]): readonly Series[] {
  if (readings.length < 2) return [];
  const uses = around(readings, points, USE_MARGIN_MS).map((pair) => pair && useOf(pair));
  return [
    { name: 'event loop of a worker', values: uses.map((use) => use && use.loopActive * 100) },
    { name: 'hashing, all threads', values: uses.map((use) => use && use.hashing * 100) },
  ];
}

function queuesOf(
  readings: readonly Reading[],
  points: readonly Point[],
  seconds: readonly number[],
): readonly Chart[] {
  if (readings.length < 2) return [];
  const pairs = around(readings, points);
  const at = pairs.map((pair) => pair?.[1]);
  const uses = pairs.map((pair) => pair && useOf(pair));
  return [
    {
      ...{ id: 'queues', title: 'Inside the service', unit: '', kind: 'lines', seconds },
      series: [
        { name: 'requests in flight', values: at.map((one) => one?.inFlight) },
        { name: 'passwords waiting for a thread', values: at.map((one) => one?.hashQueue) },
        { name: 'MongoDB commands in flight', values: uses.map((use) => use?.mongo) },
      ],
    },
  ];
}
