export type Step<S> = readonly [name: string, next: S, stale: boolean];

export interface Found {
  readonly states: number;
  /** The steps to a stale answer; undefined when none exists. */
  readonly stale: readonly string[] | undefined;
}

interface Node<S> {
  readonly state: S;
  readonly by: string;
  readonly from: Node<S> | undefined;
}

function path<S>(node: Node<S>, last: string): string[] {
  const names = [last];
  for (let at: Node<S> = node; at.from !== undefined; at = at.from) names.unshift(at.by);
  return names;
}

/**
 * Breadth-first search over all reachable states, so that the first stale answer found has the
 * shortest path.
 */
export function search<S>(
  start: S,
  keyOf: (state: S) => string,
  steps: (state: S) => Step<S>[],
  visit: (state: S, next: Step<S>[], trail: () => string[]) => void = () => undefined,
): Found {
  const seen = new Set([keyOf(start)]);
  const open: Node<S>[] = [{ state: start, by: '', from: undefined }];
  for (const here of open) {
    const next = steps(here.state);
    visit(here.state, next, () => path(here, '(end)'));
    for (const [name, to, stale] of next) {
      if (stale) return { states: seen.size, stale: path(here, name) };
      const key = keyOf(to);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push({ state: to, by: name, from: here });
    }
  }
  return { states: seen.size, stale: undefined };
}
