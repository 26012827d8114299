import {
  countsAsWanted,
  isDraining,
  isReady,
  isStarting,
  isUnresponsive,
  nextState,
  transition,
  type WorkerEvent,
  type WorkerState,
} from '../../../src/runtime/primary/worker-state';

const EVENTS = [
  'candidate',
  'ready',
  'silent',
  'heard',
  'recycle',
  'drain',
  'fail',
  'exit',
] as const satisfies readonly WorkerEvent[];

type Row = readonly (WorkerState | '-')[];

/** Rows: states; columns: EVENTS. '-' is an event without effect. */
const TABLE: Record<WorkerState, Row> = {
  starting: ['candidate', 'ready', '-', '-', '-', 'draining', 'failing', 'crashed'],
  candidate: ['-', 'ready', '-', '-', '-', 'draining', 'failing', 'exited'],
  ready: ['-', '-', 'unresponsive', '-', 'recycling', 'draining', 'failing', 'crashed'],
  unresponsive: [
    ...['-', '-', '-', 'ready'],
    ...['recycling-unresponsive', 'draining', 'failing', 'crashed'],
  ] as Row,
  recycling: ['-', '-', 'recycling-unresponsive', '-', '-', 'draining', 'failing', 'crashed'],
  'recycling-unresponsive': [
    ...['-', '-', '-', 'recycling', '-', 'draining', 'failing', 'crashed'],
  ] as Row,
  draining: ['-', '-', '-', '-', '-', '-', '-', 'exited'],
  failing: ['-', '-', '-', '-', '-', '-', '-', 'crashed'],
  exited: ['-', '-', '-', '-', '-', '-', '-', '-'],
  crashed: ['-', '-', '-', '-', '-', '-', '-', '-'],
};
const states = Object.keys(TABLE) as WorkerState[];

describe.each(states)('a worker in state %s', (state) => {
  test.each(EVENTS.map((event, column) => [event, TABLE[state][column] ?? '-'] as const))(
    'on %s becomes %s',
    (event, expected) => {
      const worker = { state };
      const target = expected === '-' ? undefined : expected;
      expect(nextState(state, event)).toBe(target);
      expect(transition(worker, event)).toBe(target !== undefined);
      expect(worker.state).toBe(target ?? state);
    },
  );
});

test('every state is reachable from starting, and every state but the last two leads to an exit', () => {
  const reached = new Set<WorkerState>(['starting']);
  for (const state of reached)
    for (const event of EVENTS) {
      const next = nextState(state, event);
      if (next !== undefined) reached.add(next);
    }
  expect([...reached].sort()).toEqual([...states].sort());
  const final = states.filter((state) => nextState(state, 'exit') === undefined);
  expect(final).toEqual(['exited', 'crashed']);
});

test.each([
  ['isStarting', isStarting, ['starting', 'candidate']],
  ['isReady', isReady, ['ready', 'unresponsive', 'recycling', 'recycling-unresponsive']],
  ['countsAsWanted', countsAsWanted, ['starting', 'candidate', 'ready']],
  ['isUnresponsive', isUnresponsive, ['unresponsive', 'recycling-unresponsive']],
  ['isDraining', isDraining, ['draining', 'failing']],
] as const)('%s', (_name, predicate, expected) => {
  expect(states.filter((state) => predicate({ state }))).toEqual(expected);
});
