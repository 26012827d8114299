import { setTimeout as delay } from 'node:timers/promises';
import { type Closable, jittered, repeatedly } from '../../kernel/lifecycle';
import { isLockBusy, type Locks } from './locks';

/** One turn at the work. */
export interface Turn {
  /** Time left before another process may, in ms. */
  leftMs(): number;
  isOver(): boolean;
  /** Waits, for as long as the turn lasts: a close does not wait for it. */
  pause(ms: number): Promise<void>;
}

export interface TurnsOptions {
  /** The name of the work, and of its lock. */
  readonly name: string;
  readonly locks: Pick<Locks, 'withLock'>;
  /** Works until the turn is over, or there is nothing left to do. */
  readonly work: (turn: Turn) => Promise<void>;
  /** Another process is at it. */
  readonly waiting?: () => void;
  /** A turn failed; the next one comes after a pause. */
  readonly failed: (error: unknown) => void;
}

/** One process works for so long, before another one may. */
const TURN_MS = 1000;
/** Between two attempts of the others, and after a failure. */
const PAUSE_MS = 1000;

/**
 * Repeats work that one process of the deployment does at a time. The lock only saves work: it must
 * be safe when two processes do it at once.
 */
export function inTurns({ name, locks, work, waiting, failed }: TurnsOptions): Closable {
  let pauseMs = 0;

  async function turn(signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + TURN_MS;
    const leftMs = () => endMs - performance.now();
    const isOver = () => signal.aborted || leftMs() <= 0;
    const pause = (ms: number) =>
      delay(Math.min(ms, Math.max(1, leftMs())), undefined, { signal, ref: false }).catch(() => {});
    await work({ leftMs, isOver, pause });
    pauseMs = 0;
  }

  return repeatedly(
    () => pauseMs,
    (signal) => locks.withLock(name, () => turn(signal)),
    (error, signal) => {
      pauseMs = jittered(PAUSE_MS);
      if (isLockBusy(error)) waiting?.();
      else if (!signal.aborted) failed(error);
    },
  );
}
