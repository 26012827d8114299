import type { ServerResponse } from 'node:http';
import type { Snapshot } from '../metrics/metrics-files';
import type { OpsSources } from './fleet-view';
import { createHistory } from './history';
import { type Point, type Reading, SERIES } from './readings';

/** Server-sent events to the open ops pages. */
export interface Feed {
  /** False: too many pages are open. */
  join(response: ServerResponse): boolean;
  close(): void;
}

const VIEWERS_MAX = 8;
/** A page that does not read is disconnected; it connects again by itself. */
const BUFFERED_MAX_BYTES = 512 * 1024;
const FLEET_EVERY_MS = 2000;

const row = (point: Point) =>
  SERIES.map((name) => {
    const value = point[name];
    return value === null ? null : Math.round(value * 100) / 100;
  });

export function createFeed(
  { environment, instance, fleet, recent }: OpsSources,
  collect: () => Promise<Snapshot>,
): Feed {
  const viewers = new Set<ServerResponse>();
  let timer: NodeJS.Timeout | undefined;
  let lastFleet = '';

  const send = (to: Iterable<ServerResponse>, event: string, data: unknown) => {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const viewer of to)
      if (viewer.writableLength > BUFFERED_MAX_BYTES) viewer.destroy();
      else viewer.write(text);
  };
  const history = createHistory({
    collect,
    always: fleet !== undefined,
    onPoint: (point, reading) => send(viewers, 'point', { row: row(point), now: nowOf(reading) }),
  });
  const fleetState = () =>
    fleet === undefined
      ? undefined
      : { wanted: fleet.wanted(), ready: fleet.ready(), workers: fleet.workers() };
  /** Sent when it has changed: a state at once (see `recent`), the measured values every 2 s. */
  function sendFleet(): void {
    const state = fleetState();
    const text = JSON.stringify(state);
    if (text === lastFleet) return;
    lastFleet = text;
    send(viewers, 'fleet', state);
  }
  const stopListening = recent.listen((_line, kept) => {
    if (viewers.size === 0) return;
    send(viewers, 'line', kept);
    if (fleet !== undefined) setImmediate(sendFleet);
  });

  function leave(viewer: ServerResponse): void {
    viewers.delete(viewer);
    if (viewers.size > 0) return;
    history.watch(false);
    clearInterval(timer);
    timer = undefined;
  }

  return {
    join(response) {
      if (viewers.size >= VIEWERS_MAX) return false;
      viewers.add(response);
      response.once('close', () => leave(response));
      response.on('error', () => {});
      const latest = history.latest();
      send([response], 'start', {
        series: SERIES,
        rows: history.points().map(row),
        now: latest === undefined ? null : nowOf(latest),
        lines: recent.lines(),
        fleet: fleetState() ?? null,
        pid: process.pid,
        ...{ environment, instance },
      });
      history.watch(true);
      if (fleet !== undefined) timer ??= setInterval(sendFleet, FLEET_EVERY_MS).unref();
      return true;
    },
    close() {
      stopListening();
      history.close();
      clearInterval(timer);
      for (const viewer of viewers) viewer.destroy();
    },
  };
}

/** The numbers beside the charts. */
function nowOf({ durations: _, atMs: __, ...shown }: Reading) {
  return shown;
}
