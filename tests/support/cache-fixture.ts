import type { Ledger, LedgerState } from '../../src/cache/ledger';
import { type Config, parseConfig } from '../../src/config';
import { createLogger } from '../../src/observability/logger';

/** Cache settings as an operator would give them. */
export function cacheSettings(environment: Record<string, string> = {}): Config['cache'] {
  return parseConfig({ NODE_ENV: 'test', ...environment }).cache;
}

export const quiet = createLogger({ level: 'silent' });

export interface Doc {
  readonly version: number;
}

/** A region of numbered documents over any way of reading them. */
export function docRegion(load: (key: string) => Promise<Doc | null>) {
  return {
    name: 'doc.v1',
    group: (key: string) => `doc:${key}`,
    load,
    encode: (doc: Doc) => Buffer.from(String(doc.version)),
    decode(bytes: Buffer): Doc {
      const version = Number(bytes.toString('latin1'));
      if (!Number.isSafeInteger(version)) throw new Error('not a version');
      return { version };
    },
  };
}

/** The ledger of one test's workers when they all live in one process. `down` makes it fail, `hangs` makes it fail after a second. */
export function memoryLedger(): Ledger & { down: boolean; hangs: boolean; state: LedgerState | undefined } {
  const ledger = {
    down: false,
    hangs: false,
    state: undefined as LedgerState | undefined,
    async reach() {
      if (ledger.hangs) await new Promise((resolve) => setTimeout(resolve, 1000));
      if (ledger.down || ledger.hangs) throw new Error('the ledger is down');
    },
    async read(dataset: string) {
      await ledger.reach();
      ledger.state ??= { epoch: 1, suspended: false, beat: 0, dataset };
      return ledger.state;
    },
    async suspend() {
      await ledger.reach();
      const before = ledger.state ?? { epoch: 1, suspended: false, beat: 0, dataset: '' };
      ledger.state = { ...before, suspended: true, beat: before.beat + 1 };
      return ledger.state;
    },
    async resume(seen: LedgerState, dataset: string) {
      await ledger.reach();
      const { state } = ledger;
      if (state?.suspended === true && state.epoch === seen.epoch && state.beat === seen.beat) {
        ledger.state = { epoch: state.epoch + 1, suspended: false, beat: state.beat, dataset };
      }
    },
  };
  return ledger;
}
