import type { Exit, WorkerHandle } from '../../src/cluster/handle';
import type { WorkerMessage } from '../../src/cluster/messages';
import { createRestarts } from '../../src/cluster/restarts';
import { createSupervisor, type SupervisorOptions } from '../../src/cluster/supervisor';
import { createLogger } from '../../src/observability/logger';
import { until } from '../support/until';

const now = () => performance.now();

/** Workers that are ready as soon as they are forked, and end as they are told. */
function eagerFork(forked: WorkerHandle[], ends: string[] = []) {
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
      send: () => {
        ends.push(`${worker.id} drained`);
        end({ code: 0, signal: null });
      },
      sendConnection: () => undefined,
      kill: () => {
        ends.push(`${worker.id} killed`);
        end({ code: null, signal: 'SIGKILL' });
      },
    };
    forked.push(worker);
    setImmediate(() => onMessage(worker, { type: 'ready' } as WorkerMessage));
    return worker;
  };
}

function supervise(options: Pick<SupervisorOptions, 'fork' | 'limits' | 'now'>) {
  return createSupervisor({
    wanted: 2,
    restarts: createRestarts({ baseMs: 10, maxMs: 100, stableMs: 1000, crashBudget: 3, now, random: () => 1 }),
    drainDeadlineMs: 1000,
    log: createLogger({ level: 'silent' }),
    onReady: () => undefined,
    onLeaving: () => undefined,
    onMessage: () => undefined,
    ...options,
  });
}

test('no worker starts while the database is still being prepared, however long that takes; start() sees the first one', async () => {
  const forked: WorkerHandle[] = [];
  let ticks = 0;
  const supervisor = supervise({
    fork: eagerFork(forked),
    limits: { heartbeatMs: 5, stallMs: 60_000, readyTimeoutMs: 60_000, heapLimitMb: 4096 },
    now: () => {
      ticks += 1;
      return now();
    },
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

test('a spell without time for the primary does not make a stopped worker count as heard: it is killed, not drained', async () => {
  const forked: WorkerHandle[] = [];
  const ends: string[] = [];
  let starvedMs = 0;
  const fork = eagerFork(forked, ends);
  let hear: (worker: WorkerHandle, message: WorkerMessage) => void = () => undefined;
  const supervisor = supervise({
    fork: (onMessage) => {
      hear = onMessage;
      return fork(onMessage);
    },
    limits: { heartbeatMs: 20, stallMs: 600, readyTimeoutMs: 60_000, heapLimitMb: 4096 },
    now: () => now() + starvedMs,
  });
  const beats = setInterval(() => {
    for (const worker of forked.slice(1)) hear(worker, { type: 'beat' } as WorkerMessage);
  }, 20);
  try {
    await supervisor.start();
    await until('the silent one to be suspect', () => forked[0]?.suspect === true);
    starvedMs = 2000;
    await until('its end', () => ends.length > 0);
    expect(ends).toEqual(['1 killed']);
  } finally {
    clearInterval(beats);
    await supervisor.stop();
  }
});
