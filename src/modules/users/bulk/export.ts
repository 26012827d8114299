import { inTime } from '../../../platform/mongo/bounded';
import { isBanOver } from '../bans';
import type { UserDocument, UserModel } from '../model';
import { privateViewOf, viewOf } from '../view';
import { csvHeader, csvLine } from './csv-record';
import type { Format } from './format';
import { rawOf } from './store-rows';

export interface ExportDependencies {
  readonly users: UserModel;
  readonly timeoutMs: number;
  /** The database's time. */
  readonly now: () => number;
  /** A form that other systems read; undefined: no password fits it. */
  readonly exportHash: (stored: string) => string | undefined;
}

const jsonLine = (record: object): string => `${JSON.stringify(record)}\n`;

/** Users that are read, and encoded, in one turn of the event loop. */
const PAGE = 100;

/**
 * Every user in the order of the ids, which never change: each user that is there from the start to
 * the end is in it once, as it was when it was read.
 */
export function createExport({ users, timeoutMs, now, exportHash }: ExportDependencies) {
  const options = { sort: { _id: 1 }, limit: PAGE, maxTimeMS: timeoutMs } as const;

  async function* pages(): AsyncGenerator<UserDocument[]> {
    let filter = {};
    for (;;) {
      const work = rawOf(users).find(filter, options).toArray();
      const page = await inTime(work, timeoutMs, 'a page of an export');
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      filter = { _id: { $gt: last._id } };
    }
  }

  function recordOf(stored: UserDocument): Record<string, unknown> {
    const isOver = isBanOver(stored, new Date(now()));
    const user: UserDocument = isOver ? { ...stored, status: 'active' } : stored;
    const hash = exportHash(user.passwordHash);
    return {
      ...viewOf(user),
      ...privateViewOf(user),
      ...(hash !== undefined && { password_hash: hash }),
    };
  }

  /** `assertAllowed`: throws where the requester may not have the next page. */
  return async function* exported(
    format: Format,
    assertAllowed?: () => Promise<void>,
  ): AsyncGenerator<string> {
    if (format === 'csv') yield csvHeader();
    const line = format === 'csv' ? csvLine : jsonLine;
    for await (const page of pages()) {
      await assertAllowed?.();
      yield page.map((user) => line(recordOf(user))).join('');
    }
  };
}
