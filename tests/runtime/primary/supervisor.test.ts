import { createLogger } from '../../../src/platform/telemetry/logger';
import type { WorkerMessage } from '../../../src/runtime/messages';
import { createRestarts } from '../../../src/runtime/primary/restart-policy';
import { createSupervisor, type SupervisorOptions } from '../../../src/runtime/primary/supervisor';
import type { Exit, WorkerHandle } from '../../../src/runtime/primary/worker-handle';
import { until } from '../../support/until';

const now = () => performance.now();

/** Forks workers that are ready at once and exit when told to. */
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
      lastBeat: undefined,
      isKilled: false,
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

function supervise(
  options: Pick<SupervisorOptions, 'fork' | 'limits' | 'now'> & Partial<SupervisorOptions>,
) {
  return createSupervisor({
    wanted: 2,
    restarts: createRestarts({
      baseMs: 10,
      maxMs: 100,
      stableMs: 1000,
      crashBudget: 3,
      now,
      random: () => 1,
    }),
    drainDeadlineMs: 1000,
    log: createLogger({ level: 'silent' }),
    onReady: () => undefined,
    onLeaving: () => undefined,
    onMessage: () => undefined,
    ...options,
  });
}

test('starts no worker before start() is called, and start() resolves at the first ready one', async () => {
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

test('kills a stopped worker, and does not drain it, after the primary itself was starved', async () => {
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
    await until('the silent one to be unresponsive', () => forked[0]?.state === 'unresponsive');
    starvedMs = 2000;
    await until('its end', () => ends.length > 0);
    expect(ends).toEqual(['1 killed']);
  } finally {
    clearInterval(beats);
    await supervisor.stop();
  }
});

describe('the end of a worker', () => {
  const limits = { heartbeatMs: 10, stallMs: 60_000, readyTimeoutMs: 60_000, heapLimitMb: 100 };
  const beat = { type: 'beat', delayP99Ms: 0, utilisation: 0, connections: 0 } as const;

  test('recycled: its successor is ready before it drains, and its exit is expected', async () => {
    const forked: WorkerHandle[] = [];
    const ends: string[] = [];
    const fork = eagerFork(forked, ends);
    let hear: (worker: WorkerHandle, message: WorkerMessage) => void = () => undefined;
    const supervisor = supervise({
      fork: (onMessage) => {
        hear = onMessage;
        return fork(onMessage);
      },
      onReady: ({ id }) => ends.push(`${id} ready`),
      limits,
      now,
    });
    try {
      await supervisor.start();
      await until('two workers', () => supervisor.readyCount() === 2);
      const [first] = forked as [WorkerHandle];
      hear(first, { ...beat, heapUsedMb: 101 });
      await until('its exit', () => first.state === 'exited');
      expect(ends).toEqual(['1 ready', '2 ready', '3 ready', '1 drained']);
      expect(forked).toHaveLength(3);
      expect(supervisor.readyCount()).toBe(2);
    } finally {
      await supervisor.stop();
    }
  });

  test('drained because of its own error: its exit counts as a crash', async () => {
    const forked: WorkerHandle[] = [];
    const fork = eagerFork(forked);
    let hear: (worker: WorkerHandle, message: WorkerMessage) => void = () => undefined;
    const restarts = createRestarts({
      ...{ baseMs: 10, maxMs: 100, stableMs: 1000, crashBudget: 3, now, random: () => 1 },
    });
    const supervisor = supervise({
      restarts,
      fork: (onMessage) => {
        hear = onMessage;
        return fork(onMessage);
      },
      limits,
      now,
    });
    try {
      await supervisor.start();
      await until('two workers', () => supervisor.readyCount() === 2);
      const [first] = forked as [WorkerHandle];
      hear(first, { type: 'draining' });
      expect(first.state).toBe('failing');
      await until('its exit', () => first.state === 'crashed');
      expect(restarts.total()).toBe(1);
      await until('its successor', () => supervisor.readyCount() === 2);
    } finally {
      await supervisor.stop();
    }
  });
});
