/** The last answer of a GET: as text, so that each caller gets an object of its own. */
export interface CachedAnswer {
  readonly etag: string;
  readonly text: string;
}

export interface EtagCache {
  get(url: string): CachedAnswer | undefined;
  set(url: string, answer: CachedAnswer): void;
  delete(url: string): void;
  clear(): void;
}

const TEXT_MAX = 65_536;

/** Least recently used first out. Answers are those of one user: cleared when the user changes. */
export function createEtagCache(max: number): EtagCache {
  const entries = new Map<string, CachedAnswer>();
  return {
    get(url) {
      const found = entries.get(url);
      if (found !== undefined) {
        entries.delete(url);
        entries.set(url, found);
      }
      return found;
    },
    set(url, answer) {
      entries.delete(url);
      if (max > 0 && answer.text.length <= TEXT_MAX) entries.set(url, answer);
      const [oldest] = entries.keys();
      if (entries.size > max && oldest !== undefined) entries.delete(oldest);
    },
    delete: (url) => void entries.delete(url),
    clear: () => entries.clear(),
  };
}
