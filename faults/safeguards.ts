import { runTests } from './safeguards/run-tests';
import type { Safeguard } from './safeguards/safeguard';
import { signInSafeguards } from './safeguards/sign-in';
import { userSafeguards } from './safeguards/users';
import type { Scenario, Suite } from './scenario';

export const safeguards: readonly Safeguard[] = [...signInSafeguards, ...userSafeguards];

const scenarioOf = (safeguard: Safeguard): Scenario => {
  const { name, title, file, test, named } = safeguard;
  return {
    ...{ name, title },
    goal: `“${named}” passes (\`${test}\`)`,
    planted: `without the line in \`${file}\``,
    async run({ planted }) {
      const { passed, failed } = await runTests(safeguard, planted);
      return { met: failed === 0, figures: { passed, failed } };
    },
  };
};

/** Each is one line of the service that a test holds: the test must fail without it. */
export const suite: Suite = {
  name: 'safeguards',
  title: 'Lines that tests hold',
  setting:
    'One line of the service is taken away while a named test loads it. What must not happen then happens, and the test fails.',
  scenarios: safeguards.map(scenarioOf),
};
