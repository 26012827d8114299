import { spread } from '../stats';
import { UNMEASURED, WORKLOADS } from './workloads';
import { send, type World } from './world';

/** The most that a median may grow by with ten times the users. */
export const GOAL = 3;

export interface RatioRow {
  /** `GET /api/users/{id}`, as in /openapi.json. */
  readonly route: string;
  readonly variant: string;
  readonly small: Times;
  readonly large: Times;
  /** Median with many users ÷ median with few. */
  readonly ratio: number;
}

interface Times {
  readonly medianMs: number;
  readonly p95Ms: number;
}

export interface MeasureOptions {
  /** Measured requests of each route and service. */
  readonly samples: number;
  /** Before them. */
  readonly warm: number;
  /**
   * Routes above this ratio are measured again, so that a disturbance of the machine is not one.
   */
  readonly goal: number;
  readonly attempts: number;
}

/**
 * Every operation of the services' OpenAPI document. Throws for one without a workload, and for a
 * workload without an operation.
 */
export async function routesOf({ url, call }: World): Promise<readonly string[]> {
  const { paths } = await call<{ paths: Record<string, Record<string, unknown>> }>({
    ...{ method: 'GET', path: '/openapi.json' },
  });
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const known = [...Object.keys(WORKLOADS), ...Object.keys(UNMEASURED)];
  const unknown = routes.filter((route) => !known.includes(route));
  const stale = known.filter((route) => !routes.includes(route));
  if (unknown.length > 0)
    throw new Error(`routes of ${url} without a workload (workloads.ts): ${unknown.join(', ')}`);
  if (stale.length > 0) throw new Error(`workloads without a route: ${stale.join(', ')}`);
  return routes;
}

/** The two services take turns, request by request. */
export async function measureRatios(
  small: World,
  large: World,
  options: MeasureOptions,
  measured: (row: RatioRow) => void = () => {},
): Promise<readonly RatioRow[]> {
  const rows: RatioRow[] = [];
  for (const route of await routesOf(small)) {
    for (const variant of Object.keys(WORKLOADS[route] ?? {})) {
      let row = await measure(route, variant, [small, large], options);
      for (let n = 1; n < options.attempts && row.ratio > options.goal; n += 1) {
        const again = await measure(route, variant, [small, large], options);
        if (again.ratio < row.ratio) row = again;
      }
      rows.push(row);
      measured(row);
    }
  }
  return rows;
}

/** One workload of one route. */
export async function measure(
  route: string,
  variant: string,
  [small, large]: readonly [World, World],
  { samples, warm }: MeasureOptions,
): Promise<RatioRow> {
  const times: { world: World; all: number[] }[] = [small, large].map((world) => ({
    ...{ world, all: [] },
  }));
  for (const { world } of times) await world.renewAdmin();
  for (let n = -warm; n < samples; n += 1) {
    // The first of a pair may find the machine in another state: they change places.
    for (const { world, all } of n % 2 === 0 ? times : times.toReversed()) {
      const ms = await timeOf(route, variant, world);
      if (n >= 0) all.push(ms);
    }
  }
  const [first, second] = times.map(({ all }) => summary(all)) as [Times, Times];
  return { route, variant, small: first, large: second, ratio: second.medianMs / first.medianMs };
}

async function timeOf(route: string, variant: string, world: World): Promise<number> {
  const workload = WORKLOADS[route]?.[variant];
  if (workload === undefined) throw new Error(`no workload ${variant} of ${route}`);
  const [method = '', path = ''] = route.split(' ');
  const { at = path, ...call } = await workload(world);
  const { status, text, ms } = await send(world.url, { ...call, method, path: at });
  if (status >= 400) throw new Error(`${route} (${variant}) answered ${status}: ${text}`);
  return ms;
}

const summary = (all: readonly number[]): Times => ({
  medianMs: spread(all).median,
  p95Ms: [...all].sort((a, b) => a - b)[Math.ceil(all.length * 0.95) - 1] ?? Number.NaN,
});

export const showRow = ({ route, variant, small, large, ratio }: RatioRow): string =>
  [
    `${ratio.toFixed(2).padStart(6)} ×`,
    ...[small, large].map(
      ({ medianMs, p95Ms }) =>
        `${medianMs.toFixed(2).padStart(8)} ms (p95 ${p95Ms.toFixed(2).padStart(7)})`,
    ),
    `${route}${variant === 'usual' ? '' : `, ${variant}`}`,
  ].join('  ');
