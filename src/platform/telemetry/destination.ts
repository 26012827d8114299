import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

/**
 * Destination of log lines. It never blocks, never throws and has bounded memory, so that a broken
 * log does not stop the service.
 */
export interface LogDestination {
  write(line: string): void;
  /** Writes as much as possible at once. pino calls it after a fatal line. */
  flushSync(): void;
  /** Dropped lines: the reader was closed or stopped, or the disk was full. */
  dropped(): number;
  close(): void;
}

export interface DestinationOptions {
  readonly fd?: number;
  /** Maximum of buffered bytes. */
  readonly bufferMax?: number;
  /** Maximum delay of a line for batching, in ms. */
  readonly delayMs?: number;
}

/**
 * A write of at most PIPE_BUF bytes to a pipe is atomic (POSIX; 4096 on Linux). Several processes
 * share the pipe of the log, so a line of another process could split a longer write.
 */
const PIPE_BUF = 4096;
const FILE_BATCH = 16 * PIPE_BUF;
const RETRY_MS = 100;

/** Lines that are written together. */
interface Batch {
  readonly bytes: Buffer;
  readonly lines: number;
}

/**
 * Writes lines in batches and never waits. A pipe or terminal is opened again as non-blocking: on
 * the inherited descriptor the flag would also change the writes of other programs.
 */
export function createDestination({
  fd = 1,
  bufferMax = 1 << 20,
  delayMs = 20,
}: DestinationOptions = {}): LogDestination {
  const target = openTarget(fd);
  // Other writes to stdout and stderr (for example warnings of Node) must not end the process when
  // the reader is gone.
  for (const stream of [process.stdout, process.stderr])
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  // A file gets up to 64 KB per write: a write for every dozen lines would be mostly overhead.
  const batchMax = target.isAtomic ? PIPE_BUF : FILE_BATCH;
  let open = Buffer.allocUnsafeSlow(batchMax);
  let used = 0;
  let lines = 0;
  /** Batches that could not be written yet. */
  let waiting: Batch[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let isBlocked = false;
  let isOver = false;

  function write(line: string): void {
    // UTF-8 needs at most three bytes per UTF-16 unit; the exact length is computed only near the
    // end of the batch.
    const most = line.length * 3;
    const length = most <= batchMax - used ? most : Buffer.byteLength(line);
    if (isOver || waitingBytes + used + length > bufferMax) {
      dropped++;
      return;
    }
    if (length > batchMax - used) closeBatch();
    if (length > batchMax) {
      enqueue({ bytes: Buffer.from(line), lines: 1 });
      if (!isBlocked) flush();
      return;
    }
    used += open.write(line, used);
    lines += 1;
    timer ??= setTimeout(flush, delayMs).unref();
  }

  /**
   * Makes room. After EAGAIN only the retry timer writes: an attempt at each line would cost one
   * system call per line.
   */
  function closeBatch(): void {
    if (!isBlocked) flush();
    if (used > 0) keep();
  }

  function enqueue(batch: Batch): void {
    waiting.push(batch);
    waitingBytes += batch.bytes.length;
  }

  function keep(): void {
    enqueue({ bytes: open.subarray(0, used), lines });
    open = Buffer.allocUnsafeSlow(batchMax);
    used = 0;
    lines = 0;
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    isBlocked = false;
    for (const [index, batch] of waiting.entries()) {
      if (!sent(batch)) {
        waiting = waiting.slice(index);
        return;
      }
      waitingBytes -= batch.bytes.length;
    }
    waiting = [];
    if (used === 0 || !sent({ bytes: open.subarray(0, used), lines })) return;
    used = 0;
    lines = 0;
  }

  /** Returns false when the batch must be retried later. */
  function sent({ bytes, lines }: Batch): boolean {
    const outcome = put(bytes);
    if (outcome === 'busy') {
      isBlocked = true;
      timer = setTimeout(flush, RETRY_MS).unref();
      return false;
    }
    if (outcome === 'failed') dropped += lines;
    return true;
  }

  function put(bytes: Buffer): 'done' | 'busy' | 'failed' {
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(target.fd, bytes, written);
      return 'done';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A partial write cannot be completed later, because lines of other processes may follow it:
      // the rest is dropped.
      if (code === 'EAGAIN' && written === 0) return 'busy';
      // The reader of this pipe is gone for good. A full disk (ENOSPC) may have space later.
      if (code === 'EPIPE') isOver = true;
      return 'failed';
    }
  }

  process.once('exit', flush);
  return {
    write,
    flushSync: flush,
    dropped: () => dropped,
    close() {
      process.removeListener('exit', flush);
      flush();
      clearTimeout(timer);
      isOver = true;
      if (target.fd !== fd) closeSync(target.fd);
    },
  };
}

function openTarget(fd: number): { readonly fd: number; readonly isAtomic: boolean } {
  const stat = fstatSync(fd);
  // A socket cannot be opened again; the stream of Node makes it non-blocking.
  if (stat.isSocket() && fd === 1) return { fd: process.stdout.fd, isAtomic: true };
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return { fd, isAtomic: false };
  try {
    const flags =
      constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_APPEND;
    return { fd: openSync(`/proc/self/fd/${fd}`, flags), isAtomic: stat.isFIFO() };
  } catch {
    // No /proc (macOS), or the reader of the pipe is gone: use the inherited descriptor.
    return { fd, isAtomic: stat.isFIFO() };
  }
}
