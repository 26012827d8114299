import type { KeyReader, KeyReaders } from '../../src/modules/auth/keys/key-readers';

export interface MemoryKeyReaders {
  /** The port through which one process reports. */
  of(pid: number): KeyReaders;
  readonly rows: Map<number, KeyReader>;
  broken: boolean;
}

/** Shared by several processes of a test; `nowMs` is the database's clock. */
export function createMemoryKeyReaders(nowMs: () => number): MemoryKeyReaders {
  const rows = new Map<number, KeyReader>();
  const shared: MemoryKeyReaders = {
    rows,
    broken: false,
    of: (pid) => ({
      async report(seen, freshSeconds) {
        if (shared.broken) throw new Error('the store is unavailable');
        rows.set(pid, {
          ...seen,
          _id: String(pid),
          host: 'test',
          pid,
          freshUntil: new Date(nowMs() + freshSeconds * 1000),
        });
      },
      async leave() {
        rows.delete(pid);
      },
      list: async () =>
        [...rows.values()].filter(({ freshUntil }) => freshUntil.getTime() > nowMs()),
    }),
  };
  return shared;
}
