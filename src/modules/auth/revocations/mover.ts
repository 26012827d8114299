import type { Ended, RevocationLog } from './log';
import type { PendingEnd, PendingEnds } from './pending-ends';

/** Moves ends from the documents of their subjects to the log. */
export interface Mover {
  /**
   * When it resolves, the log has every end of these subjects that was durable before the call.
   * Calls at the same time share one batch.
   */
  move(subjects: readonly string[]): Promise<void>;
  /** The same, of all subjects. */
  moveAll(): Promise<void>;
}

const BATCH = 500;
/** More than a sweep finds where nothing was moved for hours. */
const MAX_BATCHES = 2000;

interface Batch {
  readonly subjects: Set<string>;
  readonly done: Promise<void>;
}

export function createMover(log: RevocationLog, sources: readonly PendingEnds[]): Mover {
  let running: Promise<unknown> = Promise.resolve();
  let next: Batch | undefined;

  async function moveFrom(source: PendingEnds, subjects: readonly string[] | undefined) {
    const found = await source.read(subjects, BATCH);
    if (found.length === 0) return 0;
    await log.append(found.map(entryOf));
    // If this fails, they are in the log twice: that ends nothing else.
    await source.clear(found);
    return found.length;
  }

  const moveOf = async (subjects: readonly string[]) => {
    for (let from = 0; from < subjects.length; from += BATCH)
      await Promise.all(
        sources.map((source) => moveFrom(source, subjects.slice(from, from + BATCH))),
      );
  };

  /** One after the other: two at a time would move the same ends. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = running.catch(() => undefined).then(work);
    running = done;
    return done;
  }

  return {
    move(subjects) {
      if (next === undefined) {
        const batch = new Set<string>();
        const done = inTurn(() => {
          next = undefined;
          return moveOf([...batch]);
        });
        next = { subjects: batch, done };
      }
      for (const one of subjects) next.subjects.add(one);
      return next.done;
    },
    async moveAll() {
      for (const source of sources)
        for (let batch = 0; batch < MAX_BATCHES; batch += 1)
          if ((await inTurn(() => moveFrom(source, undefined))) < BATCH) break;
    },
  };
}

function entryOf(end: PendingEnd): Ended {
  const { subject, isRemoved, version, kept, sessions = [], tokens = [] } = end;
  const whose = { subject, ...(end.isService === true && { isService: true }) };
  if (isRemoved === true) return { type: 'subject_removed', ...whose };
  return {
    ...{ type: 'tokens_ended', ...whose },
    ...(version === undefined ? {} : { version }),
    ...(version === undefined || kept === undefined ? {} : { kept }),
    ...(sessions.length === 0 ? {} : { sessions }),
    ...(tokens.length === 0 ? {} : { tokens }),
  };
}
