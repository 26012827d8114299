import { startTestService, type TestService } from '../../../support/app';
import { leastOf, median } from '../../../support/figures';
import { type Client, createClient, PASSWORD, register, uniqueEmail } from '../../../support/http';

/** Measurements of one kind of account; three of them stay under the limit of each account. */
const ROUNDS = 200;
const KNOWN = 25;

let service: TestService;
let client: Client;
beforeAll(async () => {
  service = await startTestService({
    TRUST_PROXY: '1',
    BCRYPT_COST: '8',
    LOGIN_ATTEMPTS_PER_NETWORK: '10000',
    LOGIN_ATTEMPTS_PER_ACCOUNT: '30',
    // Windows begin at fixed times: one of minutes could end in the midst of this.
    LOGIN_ATTEMPTS_PER_ACCOUNT_DAY: '30',
  });
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const failedLogin = (email: string) =>
  client('POST', '/api/auth/login', {
    body: { email, password: `not ${PASSWORD}` },
    headers: { 'x-forwarded-for': '203.0.113.9', 'user-agent': 'browser/1' },
  });

const emails = async (count: number) =>
  Promise.all(Array.from({ length: count }, async () => (await register(client)).user.email));

test('known, unknown and locked accounts take the same time', async () => {
  const known = await emails(KNOWN);
  const [locked] = (await emails(1)) as [string];
  for (let i = 0; i < 32; i += 1) await failedLogin(locked);
  const emailOf = {
    known: (i: number) => known[i % KNOWN] as string,
    unknown: () => uniqueEmail('nobody'),
    locked: () => locked,
  };
  const kinds = ['known', 'unknown', 'locked'] as const;
  async function measure() {
    const times: Record<(typeof kinds)[number], number[]> = { known: [], unknown: [], locked: [] };
    for (let i = 0; i < ROUNDS; i += 1) {
      // In another order each round, so that none always follows the same other.
      for (const kind of [...kinds.slice(i % 3), ...kinds.slice(0, i % 3)]) {
        const start = performance.now();
        const { status } = await failedLogin(emailOf[kind](i));
        times[kind].push(performance.now() - start);
        expect([kind, status]).toEqual([kind, kind === 'locked' ? 429 : 401]);
      }
    }
    const medians = {
      known: median(times.known),
      unknown: median(times.unknown),
      locked: median(times.locked),
    };
    if (process.env['SHOW_FIGURES'] !== undefined)
      process.stderr.write(`median ms ${JSON.stringify(medians)}\n`);
    return Math.max(
      ...[medians.unknown, medians.locked].map(
        (one) => Math.abs(one - medians.known) / medians.known,
      ),
    );
  }
  expect(await leastOf(3, measure, 0.1)).toBeLessThanOrEqual(0.1);
}, 120_000);
