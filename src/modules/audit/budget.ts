import { Types } from 'mongoose';
import type { AuditRow } from './audit-event';

/**
 * What refused and unauthenticated requests write is bounded, however many there are: within a
 * window the first of a kind are stored one by one, the rest are counted, and stored as one row
 * with a `count` when the window is over. So at most about 2 × ALL_MAX rows per worker and window;
 * who sends the requests needs no account for them.
 */
export const WINDOW_MS = 600_000;
/** Of one type, reason, account and network. */
export const SAME_MAX = 20;
/** Of all kinds together; past them only type and reason are told apart. */
export const ALL_MAX = 500;

interface Kind {
  stored: number;
  /** Counted, not stored: the last of them. */
  counted: number;
  last: AuditRow;
}

export interface AuditBudget {
  /** True: store it now. False: it is counted, and part of a row of `takeCounted`. */
  admit(row: AuditRow): boolean;
  /** Ends the window. */
  takeCounted(): AuditRow[];
}

export function createAuditBudget(): AuditBudget {
  const kinds = new Map<string, Kind>();
  let stored = 0;

  function count(key: string, row: AuditRow): void {
    const kind = kinds.get(key) ?? { stored: 0, counted: 0, last: row };
    kinds.set(key, { ...kind, counted: kind.counted + 1, last: row });
  }

  return {
    admit(row) {
      const { type, result, reason = '', subject = '', network } = row;
      const key = [type, result, reason, subject, network].join('\n');
      const kind = kinds.get(key);
      if (kind === undefined && stored >= ALL_MAX) {
        count([type, result, reason].join('\n'), withoutOrigin(row));
        return false;
      }
      if (stored >= ALL_MAX || (kind !== undefined && kind.stored >= SAME_MAX)) {
        count(key, row);
        return false;
      }
      stored += 1;
      kinds.set(key, { counted: 0, ...kind, stored: (kind?.stored ?? 0) + 1, last: row });
      return true;
    },
    takeCounted() {
      const rows = [...kinds.values()].flatMap(({ counted, last }) =>
        counted === 0 ? [] : [toCountedRow(last, counted)],
      );
      kinds.clear();
      stored = 0;
      return rows;
    },
  };
}

const toCountedRow = (last: AuditRow, count: number): AuditRow => ({
  ...last,
  _id: new Types.ObjectId(),
  ...(count === 1 ? {} : { count }),
});

/** Of many accounts and networks: none of them stands for the others. */
function withoutOrigin({ _id, at, type, result, reason, until }: AuditRow): AuditRow {
  return {
    _id,
    at,
    type,
    result,
    ...(reason === undefined ? {} : { reason }),
    network: '',
    userAgent: '',
    requestId: '',
    until,
  };
}
