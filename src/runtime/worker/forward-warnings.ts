import type { RecentLines } from '../../platform/telemetry/recent-lines';

const PER_SECOND = 5;
/** A longer line is for the log only. */
const LINE_MAX = 4096;

/** Sends the worker's warnings to the primary, for the ops page: at most a few a second. */
export function forwardWarnings(
  recent: Pick<RecentLines, 'listen'>,
  send: (line: string) => void,
  now: () => number = () => performance.now(),
): void {
  let since = now();
  let sent = 0;
  recent.listen((line) => {
    if (now() - since >= 1000) [since, sent] = [now(), 0];
    if (sent >= PER_SECOND || line.length > LINE_MAX) return;
    sent += 1;
    send(line);
  });
}
