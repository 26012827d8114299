import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Where log lines go. It never blocks, never throws and never grows beyond its bound: the service outlives its log. */
export interface LogDestination {
  write(line: string): void;
  /** Writes what can be written now. pino calls it after a fatal line. */
  flushSync(): void;
  /** Lines that were given up: the reader was gone or stopped, or the disk full. */
  dropped(): number;
  close(): void;
}

export interface DestinationOptions {
  readonly fd?: number;
  /** Most characters held back while nobody reads. */
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

/**
 * Batches lines and writes them without ever waiting. A pipe or terminal is opened once more, non-blocking, so that
 * the flag is ours alone: on the descriptor that we inherited it would change other programs' writes too.
 */
export function createDestination({ fd = 1, bufferMax = 1 << 20, delayMs = 20 }: DestinationOptions = {}): LogDestination {
  const target = openTarget(fd);
  // What else writes there (a warning of Node's, on stderr) must not end the process when the reader is gone.
  for (const stream of [process.stdout, process.stderr]) if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  // To a file as much goes at once as comes within `delayMs`: a write for every dozen lines is mostly overhead.
  const flushAt = target.isAtomic ? PIPE_BUF : FILE_BATCH;
  let lines: string[] = [];
  let held = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let isRefused = false;
  let isOver = false;

  function write(line: string): void {
    if (isOver || held + line.length > bufferMax) {
      dropped++;
      return;
    }
    lines.push(line);
    held += line.length;
    // After a refusal the retry's timer decides: trying at each line would cost a system call per line.
    if (held >= flushAt && !isRefused) flush();
    else timer ??= setTimeout(flush, delayMs).unref();
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    isRefused = false;
    while (lines.length > 0) {
      const count = target.isAtomic ? batch(lines) : lines.length;
      const text = lines.slice(0, count).join('');
      const outcome = put(Buffer.from(text));
      if (outcome === 'busy') {
        isRefused = true;
        timer = setTimeout(flush, RETRY_MS).unref();
        return;
      }
      if (outcome === 'failed') dropped += count;
      lines = lines.slice(count);
      held -= text.length;
    }
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

/** How many of the first lines fit into one atomic write; at least one. */
function batch(lines: readonly string[]): number {
  let bytes = 0;
  for (const [index, line] of lines.entries()) {
    bytes += Buffer.byteLength(line);
    if (bytes > PIPE_BUF) return Math.max(1, index);
  }
  return lines.length;
}
