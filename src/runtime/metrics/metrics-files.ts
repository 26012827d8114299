import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import { isAlive } from '../alive';

/**
 * A counter must never fall, or Prometheus takes it for a restart of the service. So a worker stores
 * each answer in `told-<name>.json` before it sends it, which keeps the counters of a worker that is
 * killed; and a worker that exits in order adds its last counters to those of earlier workers in
 * `retired-<name>.json`.
 *
 * To merge such files a worker first renames them to `claim-<name>-<file>`: of two workers that
 * exit at the same time only one can. A claimed file counts until the merged one is there; the
 * names of the workers in it say which of the two to count.
 */

export type Metric = MetricObjectWithValues<MetricValue<string>>;
export type Snapshot = readonly Metric[];

export interface Retired {
  /** The workers whose counters are in it. */
  readonly names: readonly string[];
  readonly metrics: Snapshot;
}

const RETIRED = /^retired-\d+-\d+\.json$/;
const RETIRED_OR_CLAIMED = /^(?:claim-\d+-\d+-)?retired-\d+-\d+\.json$/;
const TOLD = /^told-(\d+-(\d+))\.json$/;
const TOLD_OR_CLAIMED = /^(?:claim-\d+-\d+-)?told-(\d+-\d+)\.json$/;

/** prom-client declares `type` as a numeric enum, but its values are these words. */
export const isGauge = ({ type }: Metric): boolean => String(type) === 'gauge';
export const countersOf = (metrics: Snapshot): Metric[] =>
  metrics.filter((metric) => !isGauge(metric));

const READ_ATTEMPTS = 5;

/** Keeps the counters of an answer, before it is sent. */
export const storeTold = (dir: string, name: string, counters: Snapshot): void =>
  replaceFile(dir, `told-${name}.json`, counters);

/** The last answer of each worker that has not exited in order. */
export const readTold = (dir: string): Map<string, Snapshot> =>
  new Map(
    readAll<Snapshot>(dir, TOLD_OR_CLAIMED).map(({ file, content }): [string, Snapshot] => [
      TOLD_OR_CLAIMED.exec(file)?.[1] ?? '',
      content,
    ]),
  );

/** The counters of workers that exited in order, each worker in one of the records. */
export function readRetired(dir: string): Retired[] {
  const counted = new Set<string>();
  return readAll<Retired>(dir, RETIRED_OR_CLAIMED)
    .map(({ content }) => content)
    .sort((a, b) => b.names.length - a.names.length)
    .filter(({ names }) => {
      if (names.some((name) => counted.has(name))) return false;
      for (const name of names) counted.add(name);
      return true;
    });
}

/** Every file of that pattern. When one was renamed meanwhile, the list is read again. */
function readAll<T>(dir: string, pattern: RegExp): { file: string; content: T }[] {
  for (let attempt = 1; ; attempt += 1) {
    const found = readdirSync(dir)
      .filter((file) => pattern.test(file))
      .map((file) => ({ file, content: readJson<T>(join(dir, file)) }));
    const read = found.flatMap(({ file, content }) =>
      content === undefined ? [] : [{ file, content }],
    );
    if (read.length === found.length || attempt === READ_ATTEMPTS) return read;
  }
}

/** Merges `own` with the counters of earlier workers: one file, not one per worker ever run. */
export async function leaveCounters(dir: string, name: string, own: Snapshot): Promise<void> {
  const retired = claim<Retired>(dir, name, (file) => RETIRED.test(file));
  const killed = claim<Snapshot>(dir, name, (file) => {
    const [, of, pid] = TOLD.exec(file) ?? [];
    return of !== undefined && of !== name && !isAlive(Number(pid));
  });
  const known = new Set(retired.flatMap(({ content }) => content.names));
  const killedNames = killed.map(({ file }) => TOLD.exec(file)?.[1] ?? '');
  const counted = killed.filter((_, i) => !known.has(killedNames[i] ?? ''));
  const names = [...new Set([name, ...known, ...killedNames])];
  const metrics = await sum([
    own,
    ...retired.map(({ content }) => content.metrics),
    ...counted.map(({ content }) => content),
  ]);
  replaceFile(dir, `retired-${name}.json`, { names, metrics } satisfies Retired);
  for (const { path } of [...retired, ...killed]) rmSync(path, { force: true });
  rmSync(join(dir, `told-${name}.json`), { force: true });
}

/** Renames the wanted files, so that no other worker merges them too. */
function claim<T>(
  dir: string,
  name: string,
  isWanted: (file: string) => boolean,
): { file: string; path: string; content: T }[] {
  return readdirSync(dir)
    .filter(isWanted)
    .flatMap((file) => {
      const path = join(dir, `claim-${name}-${file}`);
      try {
        renameSync(join(dir, file), path);
      } catch {
        return [];
      }
      const content = readJson<T>(path);
      return content === undefined ? [] : [{ file, path, content }];
    });
}

/** A reader finds the old content or the new one, never a part of it. */
function replaceFile(dir: string, file: string, content: unknown): void {
  const path = join(dir, `new-${process.pid}-${file}`);
  writeFileSync(path, JSON.stringify(content));
  renameSync(path, join(dir, file));
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

const sum = (snapshots: readonly Snapshot[]): Promise<Metric[]> =>
  AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot])).getMetricsAsJSON();
