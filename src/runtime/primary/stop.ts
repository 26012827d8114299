/** A request to stop: `request` shuts down gracefully, `kill` exits at once. */
export interface Stop {
  readonly requested: Promise<undefined>;
  /** Resolves with the exit code. */
  readonly killed: Promise<number>;
  request(): void;
  kill(code: number): void;
}

export function createStop(): Stop {
  let request = (): void => {};
  let kill: (code: number) => void = () => {};
  const requested = new Promise<undefined>((resolve) => {
    request = () => resolve(undefined);
  });
  const killed = new Promise<number>((resolve) => {
    kill = resolve;
  });
  return { requested, killed, request: () => request(), kill: (code) => kill(code) };
}
