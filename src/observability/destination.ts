import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Where log lines go. It never blocks, never throws and never grows beyond its bound: the service outlives its log. */
export interface LogDestination {
  write(line: string): void;
  /** The same, cheaper, for a line that has no character above U+007F. */
  writeAscii(line: string): void;
  /** Writes what can be written now. pino calls it after a fatal line. */
  flushSync(): void;
  /** Lines that were given up: the reader was gone or stopped, or the disk full. */
  dropped(): number;
  close(): void;
}

export interface DestinationOptions {
  readonly fd?: number;
  /** Most bytes held back while nobody reads. */
  readonly bufferMax?: number;
  /** Longest time that a line waits for others to be written with, in ms. */
  readonly delayMs?: number;
}

/**
 * POSIX: a write of at most PIPE_BUF bytes to a pipe is atomic (4096 on Linux). Several processes share the log's pipe,
 * so a longer one could be torn by a neighbour's line.
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
 * Batches lines and writes them without ever waiting. A pipe or terminal is opened once more, non-blocking, so that
 * the flag is ours alone: on the descriptor that we inherited it would change other programs' writes too.
 */
export function createDestination({ fd = 1, bufferMax = 1 << 20, delayMs = 20 }: DestinationOptions = {}): LogDestination {
  const target = openTarget(fd);
  // What else writes there (a warning of Node's, on stderr) must not end the process when the reader is gone.
  for (const stream of [process.stdout, process.stderr]) if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  // To a file as much goes at once as comes within `delayMs`: a write for every dozen lines is mostly overhead.
  const batchMax = target.isAtomic ? PIPE_BUF : FILE_BATCH;
  let open = Buffer.allocUnsafeSlow(batchMax);
  let used = 0;
  let lines = 0;
  /** Batches that were refused, and those that were filled since. */
  let waiting: Batch[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let isRefused = false;
  let isOver = false;

  function writeEncoded(line: string, encoding: 'utf8' | 'latin1'): void {
    // UTF-8 takes three bytes for a UTF-16 unit at most; what is near the end is measured.
    const most = encoding === 'latin1' ? line.length : line.length * 3;
    const length = most <= batchMax - used ? most : Buffer.byteLength(line, encoding);
    if (isOver || waitingBytes + used + length > bufferMax) {
      dropped++;
      return;
    }
    if (length > batchMax - used) closeBatch();
    if (length > batchMax) {
      enqueue({ bytes: Buffer.from(line, encoding), lines: 1 });
      if (!isRefused) flush();
      return;
    }
    used += open.write(line, used, encoding);
    lines += 1;
    timer ??= setTimeout(flush, delayMs).unref();
  }

  /** Makes room. After a refusal the retry's timer decides: trying at each line would cost a system call per line. */
  function closeBatch(): void {
    if (!isRefused) flush();
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
    isRefused = false;
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

  /** False: not now. */
  function sent({ bytes, lines }: Batch): boolean {
    const outcome = put(bytes);
    if (outcome === 'busy') {
      isRefused = true;
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
      // The rest of a torn line cannot be finished later without joining another process's: it is given up.
      if (code === 'EAGAIN' && written === 0) return 'busy';
      // Nobody will ever read this pipe again. A full disk (ENOSPC), in contrast, may have room later.
      if (code === 'EPIPE') isOver = true;
      return 'failed';
    }
  }

  process.once('exit', flush);
  return {
    write: (line) => writeEncoded(line, 'utf8'),
    writeAscii: (line) => writeEncoded(line, 'latin1'),
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
  // A socket cannot be opened again: Node's own stream on it makes it non-blocking.
  if (stat.isSocket() && fd === 1) return { fd: process.stdout.fd, isAtomic: true };
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return { fd, isAtomic: false };
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_APPEND;
    return { fd: openSync(`/proc/self/fd/${fd}`, flags), isAtomic: stat.isFIFO() };
  } catch {
    // No /proc (macOS), or a pipe whose reader has already left: the ordinary descriptor has to do.
    return { fd, isAtomic: stat.isFIFO() };
  }
}
