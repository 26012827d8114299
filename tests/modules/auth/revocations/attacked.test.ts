import { suite } from '../../../../faults/revocation';

const [attacked] = suite.scenarios;

/** The quick form of `npm run faults -- revocation`, with its first planted fault. */
test('no verifier accepts a token whose end was acknowledged, whatever is cut off or killed', async () => {
  const outcome = await attacked?.run({ quick: true, planted: false });
  expect(outcome).toMatchObject({
    met: true,
    figures: { 'accepted after the acknowledgement': 0 },
  });
}, 180_000);

test('by pushed events alone, without a lease, ended tokens are accepted', async () => {
  const outcome = await attacked?.run({ quick: true, planted: true });
  expect(outcome?.figures['accepted after the acknowledgement']).toBeGreaterThan(0);
}, 180_000);
