import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode, processExists, startedAt } from './system';

export type Claim =
  | { readonly held: true; release(): void }
  | { readonly held: false; readonly pid: number | undefined };

interface Holder {
  readonly pid: number;
  readonly started: string;
}

/**
 * A lock file with the pid of its holder. A dead holder is replaced. Advisory: two processes that
 * replace a dead holder at the same time may both succeed, so actions that must not happen twice
 * need another lock.
 */
export function claimFile(file: string): Claim {
  const draft = `${file}.${process.pid}`;
  writeFileSync(
    draft,
    JSON.stringify({ pid: process.pid, started: startedAt(process.pid) } satisfies Holder),
  );
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      // A link is created together with its content.
      if (linked(draft, file)) return { held: true, release: () => rmSync(file, { force: true }) };
      const holder = readHolder(file);
      if (
        holder !== undefined &&
        processExists(holder.pid) &&
        startedAt(holder.pid) === holder.started
      ) {
        return { held: false, pid: holder.pid };
      }
      rmSync(file, { force: true });
    }
    return { held: false, pid: undefined };
  } finally {
    rmSync(draft, { force: true });
  }
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function readHolder(file: string): Holder | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}
