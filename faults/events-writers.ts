import { uniqueEmail } from '../tests/support/http';
import type { EventStage } from './events-kit';

const PASSWORD = 'a long enough password';
const TIMEOUT_MS = 15_000;
const AFTER_FAILURE_MS = 20;

export interface Written {
  /** Answered with 2xx. */
  readonly count: number;
  readonly failed: number;
  /** Of each user that was not removed: changes that were answered with 2xx, its creation too. */
  readonly acknowledged: ReadonlyMap<string, number>;
}

interface WritersOptions {
  readonly writers: number;
  readonly writes: number;
  /** While it holds, they write on beyond that. */
  readonly isTooEarly?: () => boolean;
  /** Between two writes of one writer. */
  readonly pauseMs?: number;
}

/** Each changes, bans and removes a user of its own, and makes another one in its place. */
export async function write(stage: EventStage, options: WritersOptions): Promise<Written> {
  const acknowledged = new Map<string, number>();
  let [count, failed] = [0, 0];
  const headers = {
    authorization: `Bearer ${stage.token}`,
    'content-type': 'application/json',
  };

  /** Undefined where it is not known whether the write was done. */
  async function send(method: string, path: string, turn: number, body?: object) {
    const urls = stage.urls();
    const answer = await fetch(`${urls[turn % urls.length]}${path}`, {
      ...{ method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch(() => undefined);
    const text = await answer?.text().catch(() => undefined);
    if (answer?.ok === true && text !== undefined) {
      count += 1;
      return { status: answer.status, text };
    }
    failed += 1;
    await new Promise((resolve) => setTimeout(resolve, AFTER_FAILURE_MS));
    return answer === undefined ? undefined : { status: answer.status, text: '' };
  }

  async function create(turn: number): Promise<string | undefined> {
    const body = { name: 'Ada', email: uniqueEmail('event'), password: PASSWORD };
    const answer = await send('POST', '/api/users', turn, body);
    if (answer?.status !== 201) return undefined;
    const { id } = JSON.parse(answer.text) as { id: string };
    acknowledged.set(id, 1);
    return id;
  }

  async function change(id: string, turn: number): Promise<string | undefined> {
    const at = `/api/users/${id}`;
    const kind = turn % 100;
    if (kind === 99) {
      acknowledged.delete(id);
      await send('DELETE', at, turn);
      return undefined;
    }
    const answer =
      kind === 33
        ? await send('POST', `${at}/ban`, turn, { reason: 'test' })
        : kind === 66
          ? await send('POST', `${at}/unban`, turn)
          : await send('PATCH', at, turn, { name: `Ada ${turn}` });
    if (answer?.status === 200) acknowledged.set(id, (acknowledged.get(id) ?? 0) + 1);
    return id;
  }

  async function writer(index: number): Promise<void> {
    let id: string | undefined;
    const isOver = () => count >= options.writes && options.isTooEarly?.() !== true;
    for (let turn = index; !isOver(); turn += 1) {
      id = id === undefined ? await create(turn) : await change(id, turn);
      if (options.pauseMs !== undefined)
        await new Promise((resolve) => setTimeout(resolve, options.pauseMs));
    }
  }

  await Promise.all(Array.from({ length: options.writers }, (_, index) => writer(index)));
  return { count, failed, acknowledged };
}
