export interface Queue<T> {
  put(item: T): void;
  take(): T | undefined;
  size(): number;
}

/** First in, first out, without moving the rest at each take. */
export function createQueue<T>(given: readonly T[] = []): Queue<T> {
  let items: T[] = [...given];
  let first = 0;
  return {
    put: (item: T): void => void items.push(item),
    take(): T | undefined {
      const item = items[first];
      if (item === undefined) return undefined;
      first += 1;
      if (first >= 1024 && first * 2 >= items.length) {
        items = items.slice(first);
        first = 0;
      }
      return item;
    },
    size: () => items.length - first,
  };
}
