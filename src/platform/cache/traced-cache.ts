import { type Span, type Tracing, within } from '../telemetry/tracing';
import type { TypedCache } from './port';
import type { ReadContext, ReadThrough } from './read-through';

/** Spans of the reads of one typed cache: the source that answered, and why no nearer one did. */
export interface CacheTrace {
  /** Of a read from Redis or the database. */
  read<T>(read: ReadThrough<T>): ReadThrough<T>;
  /** Of the whole cache: reads that a local entry or a read under way answers. */
  cache<T>(cache: TypedCache<T>): TypedCache<T>;
}

export function createCacheTrace(name: string, tracing: Tracing): CacheTrace {
  const title = `cache read ${name.replace(/\.v\d+$/, '')}`;
  const start = () => tracing.child(title, { 'cache.name': name });
  let isReading = false;

  function tell(span: Span, { answeredBy, reason }: ReadContext): void {
    span.set({ 'cache.answered_by': answeredBy ?? 'none' });
    if (reason !== undefined) span.set({ 'cache.reason': reason });
  }

  function answered(by: 'local' | 'joined', span = start()): void {
    span?.set({ 'cache.answered_by': by });
    span?.end();
  }

  return {
    read: (read) => (key, context) => {
      isReading = true;
      const span = start();
      if (span === undefined) return read(key, context);
      return within(tracing, span, () => read(key, context).finally(() => tell(span, context)));
    },
    cache: (cache) => ({
      peek(key) {
        const value = cache.peek(key);
        if (value !== undefined) answered('local');
        return value;
      },
      get(key) {
        const value = cache.peek(key);
        if (value !== undefined) {
          answered('local');
          return Promise.resolve(value);
        }
        isReading = false;
        const result = cache.get(key);
        if (isReading) return result;
        // Another reader had begun: its span shows what it asked.
        const span = start();
        if (span !== undefined)
          result.then(
            () => answered('joined', span),
            () => answered('joined', span),
          );
        return result;
      },
    }),
  };
}
