import type { Exit, WorkerHandle } from '../../src/cluster/handle';
import type { WorkerMessage } from '../../src/cluster/messages';
import { createRestarts } from '../../src/cluster/restarts';
import { createSupervisor } from '../../src/cluster/supervisor';
import { createLogger } from '../../src/observability/logger';
import { until } from '../support/until';

const now = () => performance.now();

/** Workers that are ready as soon as they are forked. */
function eagerFork(forked: WorkerHandle[]) {
  return (onMessage: (worker: WorkerHandle, message: WorkerMessage) => void): WorkerHandle => {
    let end: (exit: Exit) => void = () => undefined;
    const exited = new Promise<Exit>((resolve) => {
      end = resolve;
    });
    const worker: WorkerHandle = {
      id: forked.length + 1,
      pid: -1,
      startedAtMs: now(),
      state: 'starting',
      readyAtMs: undefined,
      heardAtMs: now(),
      suspect: false,
      worn: false,
      expected: false,
      lastBeat: undefined,
      exited,
      send: () => end({ code: 0, signal: null }),
      sendConnection: () => undefined,
      kill: () => end({ code: null, signal: 'SIGKILL' }),
    };
    forked.push(worker);
    setImmediate(() => onMessage(worker, { type: 'ready' } as WorkerMessage));
    return worker;
  };
}

test('no worker starts while the database is still being prepared, however long that takes; start() sees the first one', async () => {
  const forked: WorkerHandle[] = [];
  let ticks = 0;
  const supervisor = createSupervisor({
    wanted: 2,
    fork: eagerFork(forked),
    restarts: createRestarts({ baseMs: 10, maxMs: 100, stableMs: 1000, crashBudget: 3, now, random: () => 1 }),
    limits: { heartbeatMs: 5, stallMs: 60_000, readyTimeoutMs: 60_000, heapLimitMb: 4096 },
    drainDeadlineMs: 1000,
    log: createLogger({ level: 'silent' }),
    now: () => {
      ticks += 1;
      return now();
    },
    onReady: () => undefined,
    onLeaving: () => undefined,
    onMessage: () => undefined,
  });
  try {
    await until('its watch to have looked ten times', () => ticks > 10);
    expect(forked).toHaveLength(0);
    expect(await supervisor.start()).toBeUndefined();
    await until('both workers to be ready', () => supervisor.readyCount() === 2);
  } finally {
    await supervisor.stop();
  }
});
