import { cpuQuota, workerCount } from '../../../src/runtime/primary/cores';
import { createRestarts, type Restarts } from '../../../src/runtime/primary/restart-policy';
import { inspect } from '../../../src/runtime/primary/watchdog';

describe('the number of workers', () => {
  const files = (content: Record<string, string>) => (path: string) => content[path];

  test('cgroup v2: the smallest quota up to the root applies', () => {
    const read = files({
      '/proc/self/cgroup': '0::/kube/pod1\n',
      '/sys/fs/cgroup/kube/pod1/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/kube/cpu.max': '250000 100000\n',
      '/sys/fs/cgroup/cpu.max': '800000 100000\n',
    });
    expect(cpuQuota(read)).toBe(2.5);
  });

  test('cgroup v2 in a container, where the own group is the root', () => {
    expect(
      cpuQuota(
        files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' }),
      ),
    ).toBe(0.5);
  });

  test('cgroup v1: -1 means no quota', () => {
    const group = { '/proc/self/cgroup': '5:memory:/a\n4:cpu,cpuacct:/docker/x\n' };
    const at = '/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs';
    expect(
      cpuQuota(
        files({ ...group, [`${at}_quota_us`]: '150000\n', [`${at}_period_us`]: '100000\n' }),
      ),
    ).toBe(1.5);
    expect(
      cpuQuota(files({ ...group, [`${at}_quota_us`]: '-1\n', [`${at}_period_us`]: '100000\n' })),
    ).toBe(Number.POSITIVE_INFINITY);
  });

  test('no cgroups at all', () => {
    expect(cpuQuota(() => undefined)).toBe(Number.POSITIVE_INFINITY);
  });

  test('auto uses cores and quota and is at least 1; a given number is used unchanged', () => {
    expect(workerCount('auto', 8, Number.POSITIVE_INFINITY)).toBe(8);
    expect(workerCount('auto', 8, 1.5)).toBe(2);
    expect(workerCount('auto', 8, 0.2)).toBe(1);
    expect(workerCount('auto', 2, 16)).toBe(2);
    expect(workerCount(12, 2, 1)).toBe(12);
  });
});

describe('the restart policy', () => {
  let clock = 0;
  const create = (): Restarts =>
    createRestarts({
      baseMs: 100,
      maxMs: 5000,
      stableMs: 5000,
      crashBudget: 3,
      now: () => clock,
      random: () => 1,
    });
  const dieYoung = (restarts: Restarts) => {
    const startedAtMs = ++clock;
    clock += 10;
    restarts.died({ startedAtMs, readyAtMs: undefined });
  };
  beforeEach(() => {
    clock = 1000;
  });

  test('the backoff doubles up to its limit: at most 60 starts per minute in a crash loop', () => {
    const restarts = create();
    restarts.ready({ startedAtMs: 0 });
    const starts: number[] = [];
    while (clock < 301_000) {
      clock += restarts.pauseMs();
      starts.push(clock);
      dieYoung(restarts);
    }
    expect(restarts.pauseMs()).toBe(5000);
    for (const start of starts)
      expect(
        starts.filter((other) => other >= start && other < start + 60_000).length,
      ).toBeLessThanOrEqual(60);
    expect(restarts.hopeless()).toBe(false);
  });

  test('simultaneous crashes count once', () => {
    const restarts = create();
    const wave = Array.from({ length: 64 }, () => ({ startedAtMs: clock, readyAtMs: undefined }));
    clock += 100;
    for (const worker of wave) restarts.died(worker);
    expect(restarts.pauseMs()).toBe(100);
    expect(restarts.hopeless()).toBe(false);
    expect(restarts.total()).toBe(64);
  });

  test('from the second fault on, one worker starts at a time, then as many as became ready', () => {
    const restarts = create();
    expect(restarts.concurrency()).toBe(Number.POSITIVE_INFINITY);
    dieYoung(restarts);
    expect(restarts.concurrency()).toBe(Number.POSITIVE_INFINITY);
    dieYoung(restarts);
    expect(restarts.concurrency()).toBe(1);
    restarts.ready({ startedAtMs: ++clock });
    restarts.ready({ startedAtMs: ++clock });
    expect(restarts.concurrency()).toBe(2);
  });

  test('a worker that was healthy for long is replaced without backoff', () => {
    const restarts = create();
    restarts.died({ startedAtMs: 0, readyAtMs: clock });
    dieYoung(restarts);
    clock += 6000;
    const old = create();
    old.died({ startedAtMs: 0, readyAtMs: 1000 });
    expect(old.pauseMs()).toBe(0);
  });

  test('a healthy worker that started after the last fault resets the backoff; an older one does not', () => {
    const restarts = create();
    const before = { startedAtMs: clock, readyAtMs: clock };
    dieYoung(restarts);
    dieYoung(restarts);
    const after = { startedAtMs: ++clock, readyAtMs: clock };
    restarts.ready(after);
    clock += 5000;
    restarts.alive(before);
    expect(restarts.concurrency()).toBe(1);
    restarts.alive(after);
    expect(restarts.concurrency()).toBe(Number.POSITIVE_INFINITY);
  });

  test('gives up only when no worker was ever ready', () => {
    const never = create();
    for (let i = 0; i < 2; i++) dieYoung(never);
    expect(never.hopeless()).toBe(false);
    dieYoung(never);
    expect(never.hopeless()).toBe(true);
    const once = create();
    once.ready({ startedAtMs: clock });
    for (let i = 0; i < 50; i++) dieYoung(once);
    expect(once.hopeless()).toBe(false);
  });
});

describe('the watchdog', () => {
  const limits = { heartbeatMs: 500, stallMs: 7000, readyTimeoutMs: 60_000, heapLimitMb: 512 };
  const beat = {
    type: 'beat',
    delayP99Ms: 900,
    utilisation: 1,
    heapUsedMb: 100,
    connections: 5,
  } as const;
  const worker = {
    state: 'ready',
    startedAtMs: 0,
    heardAtMs: 100_000,
    isKilled: false,
    lastBeat: beat,
  } as const;

  test.each([
    ['heard a moment ago, however busy', {}, 100_500, undefined],
    ['silent for half the limit', {}, 103_501, 'silent'],
    ['unresponsive and still silent', { state: 'unresponsive' as const }, 103_501, undefined],
    ['unresponsive and heard again', { state: 'unresponsive' as const }, 100_100, 'heard'],
    ['recycling and heard again', { state: 'recycling-unresponsive' as const }, 100_100, 'heard'],
    ['recycling and silent', { state: 'recycling' as const }, 103_501, 'silent'],
    ['silent for the limit', { state: 'unresponsive' as const }, 107_001, 'kill'],
    ['silent for the limit at once', {}, 107_001, 'kill'],
    ['silent, and killed a moment ago', { isKilled: true }, 107_501, undefined],
    ['draining', { state: 'draining' as const }, 200_000, undefined],
    ['failing', { state: 'failing' as const }, 200_000, undefined],
    ['starting for long', { state: 'starting' as const, lastBeat: undefined }, 60_001, 'kill'],
    ['a candidate for long', { state: 'candidate' as const, lastBeat: undefined }, 60_001, 'kill'],
    ['starting', { state: 'starting' as const, lastBeat: undefined }, 59_000, undefined],
    ['a heap over the limit', { lastBeat: { ...beat, heapUsedMb: 513 } }, 100_100, 'recycle'],
    [
      'a heap over the limit, recycling already',
      { lastBeat: { ...beat, heapUsedMb: 513 }, state: 'recycling' as const },
      100_100,
      undefined,
    ],
  ])('%s', (_case, change, at, action) => {
    expect(inspect({ ...worker, ...change }, at, limits)?.action).toBe(action);
  });
});
