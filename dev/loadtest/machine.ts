import { cpus } from 'node:os';

interface Times {
  readonly busy: number;
  readonly all: number;
}

function times(): Times {
  return cpus().reduce(
    (sum, { times: { user, nice, sys, irq, idle } }) => ({
      busy: sum.busy + user + nice + sys + irq,
      all: sum.all + user + nice + sys + irq + idle,
    }),
    { busy: 0, all: 0 },
  );
}

/** The busy share of this machine's processors between now and the call of the result. */
export function watchMachine(): () => number {
  const before = times();
  return () => {
    const after = times();
    return after.all === before.all ? 0 : (after.busy - before.busy) / (after.all - before.all);
  };
}
