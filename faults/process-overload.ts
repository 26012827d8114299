import { connect, type Socket } from 'node:net';
import { startLoad } from './load';
import { fixtureEntry, pause, shown, withService } from './process-kit';
import type { Scenario } from './scenario';
import { isGood, summarise } from './summary';

/** A worker with a capacity of 250 requests/s on any machine: each blocks its loop for 4 ms. */
const WORK = '/block?amount=4';
const CAPACITY = 250;

const overload: Scenario = {
  name: 'overload',
  title: 'three times the capacity for 20 s, each request sent once, then half of it',
  goal: 'good throughput ≥ 80 % of capacity, their p99 ≤ 1 s, every refusal a 503; normal ≤ 5 s after',
  planted: 'no admission',
  run: ({ quick, planted }) => {
    const off = planted
      ? {
          ADMISSION_LOOP_BUDGET_MS: '60000',
          ADMISSION_IN_FLIGHT_MAX: '1000000',
          ACCEPT_BUSY_WAIT_MS: '60000',
          ACCEPT_WAIT_MS: '60000',
        }
      : {};
    return withService({ entry: fixtureEntry, env: { WORKERS: '1', ...off } }, async (service) => {
      const seconds = quick ? 8 : 20;
      const options = {
        targets: [service.url],
        connections: 5000,
        timeoutMs: 20_000,
        request: () => ({ method: 'GET', path: WORK }),
      };
      const load = startLoad({ ...options, ratePerSecond: 3 * CAPACITY });
      await pause(seconds * 1000);
      const over = load.elapsedMs();
      const calm = startLoad({ ...options, ratePerSecond: CAPACITY / 2 });
      const [records, after] = await Promise.all([
        load.stop(),
        pause(8000).then(() => calm.stop()),
      ]);
      // The first second is the transition into overload, and is not measured.
      const steady = records.filter(({ plannedMs }) => plannedMs > 1000 && plannedMs < over);
      const summary = summarise(steady);
      const goodRate = steady.filter((record) => isGood(record)).length / ((over - 1000) / 1000);
      const late = after.filter(
        (record) => !isGood(record) || (record.answeredMs ?? 0) - record.plannedMs > 500,
      );
      const normalMs = Math.round(Math.max(0, ...late.map(({ plannedMs }) => plannedMs)));
      return {
        met:
          goodRate >= 0.8 * CAPACITY &&
          summary.p99Ms <= 1000 &&
          summary.unanswered === 0 &&
          normalMs <= 5000,
        figures: {
          'good % of capacity': Math.round((100 * goodRate) / CAPACITY),
          'normal after ms': normalMs,
          ...shown(summary),
        },
      };
    });
  },
};

type Attack = (socket: Socket) => void;

const attacks: Readonly<Record<string, { title: string; attack: Attack }>> = {
  slowloris: {
    title: 'headers sent byte by byte over 1,000 connections',
    attack(socket) {
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
      const timer = setInterval(() => socket.write('X'), 500);
      socket.once('close', () => clearInterval(timer));
    },
  },
  'slow-body': {
    title: 'bodies sent byte by byte over 1,000 connections',
    attack(socket) {
      socket.write(
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{',
      );
      const timer = setInterval(() => socket.write(' '), 500);
      socket.once('close', () => clearInterval(timer));
    },
  },
  'slow-read': {
    title: 'answers never read over 1,000 connections, requests sent on',
    attack(socket) {
      socket.pause();
      const timer = setInterval(
        () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5)),
        200,
      );
      socket.once('close', () => clearInterval(timer));
    },
  },
};

/** Keeps 1,000 connections of the attack open; one that is closed is opened again. */
function keepAttacking(port: number, attack: Attack): { stop(): number } {
  const sockets = new Set<Socket>();
  let opened = 0;
  let isOver = false;
  const open = () => {
    if (isOver) return;
    opened++;
    const socket = connect(port, '127.0.0.1', () => attack(socket));
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      setTimeout(open, 100);
    });
  };
  for (let i = 0; i < 1000; i++) open();
  return {
    stop() {
      isOver = true;
      for (const socket of sockets) socket.destroy();
      return opened;
    },
  };
}

const slow = (name: string): Scenario => ({
  name,
  title: attacks[name]?.title ?? name,
  goal: 'honest clients: 0 failed, p99 ≤ 100 ms',
  planted: 'at most 100 connections per worker, and no time limits',
  run: ({ quick, planted }) => {
    const off = {
      MAX_CONNECTIONS: '100',
      HEADERS_TIMEOUT_MS: '300000',
      REQUEST_TIMEOUT_MS: '300000',
    };
    return withService(
      { entry: fixtureEntry, env: { WORKERS: '4', ...(planted ? off : {}) } },
      async (service) => {
        const attack = keepAttacking(service.port, attacks[name]?.attack ?? (() => {}));
        await pause(2000);
        const load = startLoad({
          targets: [service.url],
          ratePerSecond: 200,
          connections: 50,
          request: () => ({ method: 'GET', path: '/' }),
        });
        await pause(quick || planted ? 5000 : 20_000);
        const summary = summarise(await load.stop());
        const opened = attack.stop();
        return {
          met: summary.failed === 0 && summary.p99Ms <= 100,
          figures: { 'attack connections': opened, ...shown(summary) },
        };
      },
    );
  },
});

export const overloads: readonly Scenario[] = [overload, ...Object.keys(attacks).map(slow)];
