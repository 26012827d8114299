/** A moment by both clocks of this host, in ms. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface Clocks {
  monotonic(): number;
  wall(): number;
}

const hostClocks: Clocks = { monotonic: () => performance.now(), wall: Date.now };

/**
 * How long the verifier may rely on its last look: for the lease, counted from the *beginning* of
 * the last answered look. The service acknowledges a later end of tokens only after the lease is
 * over; the look has seen every end that was acknowledged earlier. Counting from the answer
 * would add the time that the answer was on its way, which nobody bounds.
 */
export interface Trust {
  /** Call before a look is sent. */
  begin(): Moment;
  /** Call when that look was answered with everything that there is. */
  renew(began: Moment, leaseMs: number): void;
  drop(): void;
  holds(): boolean;
}

export function createTrust(clocks: Clocks = hostClocks): Trust {
  let untilMonotonic = Number.NEGATIVE_INFINITY;
  let untilWall = Number.NEGATIVE_INFINITY;
  return {
    begin: () => ({ monotonicMs: clocks.monotonic(), wallMs: clocks.wall() }),
    renew({ monotonicMs, wallMs }, leaseMs) {
      const until = monotonicMs + leaseMs;
      if (until <= untilMonotonic) return;
      untilMonotonic = until;
      untilWall = wallMs + leaseMs;
    },
    drop() {
      untilMonotonic = Number.NEGATIVE_INFINITY;
    },
    // The monotonic clock stands still while a machine sleeps; the wall clock does not.
    holds: () => clocks.monotonic() < untilMonotonic && clocks.wall() < untilWall,
  };
}
