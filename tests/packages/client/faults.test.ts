import { suite } from '../../../faults/client';
import { findTool } from '../../support/tools';

const runnable = suite.scenarios.filter(
  ({ name }) => name !== 'tab-races' || findTool('chromium') !== undefined,
);

describe.each(runnable)('$name', (scenario) => {
  test('the package meets the goal', async () => {
    const { met, figures } = await scenario.run({ quick: true, planted: false });
    expect({ met, ...figures }).toMatchObject({ met: true });
  }, 150_000);

  test('the planted fault misses it', async () => {
    const { met, figures } = await scenario.run({ quick: true, planted: true });
    expect({ met, ...figures }).toMatchObject({ met: false });
  }, 150_000);
});
