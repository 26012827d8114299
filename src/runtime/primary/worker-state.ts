/**
 * The life of a worker process, as the primary sees it:
 *
 *   starting ─ ready ─ draining ─ exited
 *
 * Every other state is a variation of these four that the supervisor treats differently. The table
 * below is the only place that says which event leads where; an event that a state does not name
 * has no effect.
 */
export type WorkerState =
  | 'starting'
  /**
   * Starting as the successor in a rolling reload: its failure stops the reload, and is no crash.
   */
  | 'candidate'
  | 'ready'
  /** Ready, but no message arrived for half of WORKER_STALL_MS: it gets no new connections. */
  | 'unresponsive'
  /** Ready and serving; it drains as soon as a successor is ready. */
  | 'recycling'
  | 'recycling-unresponsive'
  /** Finishes its requests because we said so: its exit is expected. */
  | 'draining'
  /** Finishes its requests because of an error of its own: its exit counts as a crash. */
  | 'failing'
  | 'exited'
  | 'crashed';

export type WorkerEvent =
  /** It was started as the successor of another worker in a rolling reload. */
  | 'candidate'
  /** The worker accepts connections. */
  | 'ready'
  /** No message for half of WORKER_STALL_MS. */
  | 'silent'
  /** A message after a silence. */
  | 'heard'
  | 'recycle'
  | 'drain'
  /** The worker reported an error that it cannot survive, and drains. */
  | 'fail'
  /** The process is gone. */
  | 'exit';

const transitions: Record<WorkerState, Partial<Record<WorkerEvent, WorkerState>>> = {
  starting: {
    candidate: 'candidate',
    ready: 'ready',
    drain: 'draining',
    fail: 'failing',
    exit: 'crashed',
  },
  candidate: { ready: 'ready', drain: 'draining', fail: 'failing', exit: 'exited' },
  ready: {
    silent: 'unresponsive',
    recycle: 'recycling',
    drain: 'draining',
    fail: 'failing',
    exit: 'crashed',
  },
  unresponsive: {
    heard: 'ready',
    recycle: 'recycling-unresponsive',
    drain: 'draining',
    fail: 'failing',
    exit: 'crashed',
  },
  recycling: {
    silent: 'recycling-unresponsive',
    drain: 'draining',
    fail: 'failing',
    exit: 'crashed',
  },
  'recycling-unresponsive': {
    heard: 'recycling',
    drain: 'draining',
    fail: 'failing',
    exit: 'crashed',
  },
  draining: { exit: 'exited' },
  failing: { exit: 'crashed' },
  exited: {},
  crashed: {},
};

/** The state after `event`; undefined where the event has no effect. */
export const nextState = (state: WorkerState, event: WorkerEvent): WorkerState | undefined =>
  transitions[state][event];

/** Applies `event`; false where it has no effect. */
export function transition(worker: { state: WorkerState }, event: WorkerEvent): boolean {
  const next = nextState(worker.state, event);
  if (next === undefined) return false;
  worker.state = next;
  return true;
}

type Predicate = (worker: { readonly state: WorkerState }) => boolean;

const oneOf = (...states: readonly WorkerState[]): Predicate => {
  const set: ReadonlySet<WorkerState> = new Set(states);
  return ({ state }) => set.has(state);
};

export const isStarting = oneOf('starting', 'candidate');
/** It holds connections and has not been told to drain. */
export const isReady = oneOf('ready', 'unresponsive', 'recycling', 'recycling-unresponsive');
/** One of the workers that `wanted` asks for; each other one needs a successor. */
export const countsAsWanted = oneOf('starting', 'candidate', 'ready');
export const isUnresponsive = oneOf('unresponsive', 'recycling-unresponsive');
export const isDraining = oneOf('draining', 'failing');
