import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../../kernel/lifecycle';
import type { Logger } from '../../telemetry/logger';
import { isLockBusy } from '../locks';

interface PaceOptions {
  readonly migration: string;
  readonly log: Logger;
  readonly batchMax?: number;
  readonly yields?: boolean;
}

const BATCH_SIZE = 500;
const BATCH_MIN = 10;
const BATCH_MAX = 5000;
/** Batches much shorter or longer than this change the size of the next one. */
const BATCH_MS = 100;
/** In a row; with the pauses between them, a failover of the database is survived. */
const FAILURES_MAX = 8;
/** MaxTimeMSExpired. */
const OVERTIME = 50;

/** The size of the batches follows their time, so that each is short on any hardware. */
export function createPace({ migration, log, batchMax = BATCH_MAX, yields = false }: PaceOptions) {
  let size = Math.min(BATCH_SIZE, batchMax);
  let failures = 0;
  let isWaiting = false;

  function waitsForLock(): 'again' | 'give way' {
    if (yields) return 'give way';
    if (!isWaiting) log.info({ migration }, 'another process runs migrations, taking turns');
    isWaiting = true;
    return 'again';
  }

  return {
    size: () => size,
    succeeded(tookMs: number): void {
      failures = 0;
      if (tookMs < BATCH_MS / 2) size = Math.min(batchMax, size * 2);
      else if (tookMs > BATCH_MS * 2) size = Math.max(BATCH_MIN, Math.floor(size / 2));
    },
    async failed(error: unknown): Promise<'again' | 'give way'> {
      let next: 'again' | 'give way' = 'again';
      if (isLockBusy(error)) next = waitsForLock();
      else if (isOvertime(error) && size > BATCH_MIN)
        size = Math.max(BATCH_MIN, Math.floor(size / 4));
      else failures += 1;
      if (failures > FAILURES_MAX) throw error;
      if (next === 'again') await pause(backoffMs(failures, 50, 1000));
      return next;
    },
  };
}

const isOvertime = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === OVERTIME;
