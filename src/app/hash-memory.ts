import { totalmem } from 'node:os';
import type { Config } from '../kernel/config/config';
import type { Logger } from '../platform/telemetry/logger';
import { workerCount } from '../runtime/primary/cores';

const KIB = 1024;
/** The part of the memory that password hashes may take without a warning. */
const WARN_PART = 0.5;

/**
 * The memory that this process may use, in bytes: the limit of its container, else the machine's
 * memory.
 */
export function usableMemoryBytes(): number {
  // 0 without a limit; some versions of cgroups tell an absurdly high one.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** Warns when the concurrent argon2id hashes of all workers may exhaust the memory. */
export function warnOfHashMemory(
  { auth, server }: Config,
  log: Logger,
  usableBytes = usableMemoryBytes(),
): void {
  if (auth.passwordHash !== 'argon2id') return;
  const workers = workerCount(server.workers);
  const bytes = workers * auth.hashConcurrency * auth.argon2MemoryKib * KIB;
  if (bytes <= usableBytes * WARN_PART) return;
  const toMib = (value: number) => Math.round(value / KIB / KIB);
  log.warn(
    {
      workers,
      concurrency: auth.hashConcurrency,
      mib: toMib(bytes),
      usableMib: toMib(usableBytes),
    },
    'password hashes may take more than half of the memory: lower HASH_CONCURRENCY or ARGON2_MEMORY_KIB',
  );
}
