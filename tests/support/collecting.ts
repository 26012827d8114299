import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Resolves with `work`, or `undefined` after `ms`; meanwhile the garbage collector runs always. */
export async function whileCollecting<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let hasEnded = false;
  const ended = work.finally(() => {
    hasEnded = true;
  });
  ended.catch(() => undefined);
  for (const until = performance.now() + ms; !hasEnded && performance.now() < until; ) {
    collect();
    await delay(20);
  }
  return hasEnded ? ended : undefined;
}
