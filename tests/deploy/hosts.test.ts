import { suite } from '../../faults/hosts';
import { SkipScenario } from '../../faults/scenario';

/**
 * The quick forms; `npm run faults -- hosts` runs all of them at length, each with its planted
 * fault.
 */
const QUICK = [
  'worker-killed',
  'primary-killed',
  'host-cut-nginx',
  'balancer-killed',
  'rolling-reload',
  'write-once-nginx',
  'write-once-haproxy',
];
async function outcomeOf(name: string) {
  const scenario = suite.scenarios.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  try {
    return { goal: scenario.goal, ...(await scenario.run({ quick: true, planted: false })) };
  } catch (error) {
    if (!(error instanceof SkipScenario)) throw error;
    console.warn(`${name} skipped: ${error.message}`);
    return undefined;
  }
}

describe('several hosts behind balancers', () => {
  test.each(QUICK)(
    '%s',
    async (name) => {
      const outcome = await outcomeOf(name);
      expect(outcome?.met === false ? outcome : 'met').toBe('met');
    },
    60_000,
  );
});
