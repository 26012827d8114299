import type { Bench, Question } from '../bench';
import { ours } from '../contestants';
import { seedUsers, subject } from '../dataset';
import type { Standing } from '../field';
import { bearer, eachOf, one } from '../load/traffic';

const USERS = 1_000_000;
const LIMIT = 100;
const DEEP = 10_000;

/**
 * The list's first page against its ten-thousandth, with a million users: cursors must not scan
 * the rows that they skip.
 */
export const deepPage: Question = {
  id: 'deep-page',
  title: 'List page 1 against page 10,000 of a million users',
  quick: false,
  async ask(bench) {
    await seedUsers(bench.stores.mongodbUri, USERS);
    await bench.withField([ours], {}, async (field) => {
      for (const standing of field) {
        const headers = bearer(standing.contestant.token(subject(0)));
        const cursor = await walk(bench, standing, headers);
        const first = one({ path: `/api/users?limit=${LIMIT}`, headers });
        const deep = eachOf([{ path: `/api/users?limit=${LIMIT}${cursor}`, headers }]);
        await bench.compare({ question: 'deep-page', name: 'page 1' }, [
          { standing, traffic: first },
          { standing, traffic: deep, name: 'page 10,000' },
        ]);
      }
    });
  },
};

/**
 * Goes to the deep page as a client would. Each page is read for the first time here, so no cache
 * helps.
 */
async function walk(
  bench: Bench,
  standing: Standing,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  let cursor = '';
  for (let page = 1; page <= DEEP; page += 1) {
    const began = performance.now();
    const response = await fetch(`${standing.url}/api/users?limit=${LIMIT}${cursor}`, { headers });
    const { next_cursor } = (await response.json()) as { next_cursor: string | null };
    const ms = performance.now() - began;
    // The very first pages also pay for warming up.
    if (page > 100 && page <= 200)
      bench.figures.add(key('first read, pages 101 to 200', standing), ms);
    if (page > DEEP - 100) bench.figures.add(key('first read, last 100 pages', standing), ms);
    if (page === DEEP) return cursor;
    if (next_cursor === null) throw new Error(`the list ended at page ${page}`);
    cursor = `&cursor=${encodeURIComponent(next_cursor)}`;
  }
  return cursor;
}

const key = (name: string, { contestant, runtime }: Standing) =>
  ({
    question: 'deep-page',
    name,
    unit: 'ms',
    contestant: contestant.id,
    node: runtime.major,
  }) as const;
