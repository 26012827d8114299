import type { Answering } from '../../../../dev/passkeys/authenticator';
import { startTestService, type TestService } from '../../../support/app';
import { firstStep } from '../../../support/factors';
import { type Answer, type Client, createClient } from '../../../support/http';
import {
  PASSKEY_SETTINGS,
  passkeyPage,
  type WithPasskey,
  withPasskey,
} from '../../../support/passkeys';

let service: TestService;
let client: Client;
let page: ReturnType<typeof passkeyPage>;
let victim: WithPasskey;
let attacker: WithPasskey;

beforeAll(async () => {
  service = await startTestService(PASSKEY_SETTINGS);
  client = createClient(service.baseUrl);
  page = passkeyPage(client);
  [victim, attacker] = [await withPasskey(client), await withPasskey(client)];
});
afterAll(() => service?.close());
// Each refusal is one of the answer: the same passkey signs in afterwards.
afterEach(async () => {
  const { json } = await page.use(victim.passkey);
  expect(json.user?.id).toBe(victim.id);
  victim = { ...victim, token: json.access_token };
  // The number of sessions has a maximum.
  await client('POST', '/api/auth/logout?scope=others', { token: victim.token });
  expect(await sessions()).toBe(1);
});

const sessions = () =>
  service.database.connection.collection('sessions').countDocuments({ userId: victim.id });

type Credential = ReturnType<typeof page.authenticator.get>;
type Response = Credential['response'];

/** The answer of a passkey, changed after it was signed. */
async function forged(change: (right: Credential) => object, passkey = victim.passkey) {
  const { json } = await page.request();
  return change(page.authenticator.get(json.public_key, passkey));
}
const withResponse =
  (change: (response: Response) => Partial<Response>) => (right: Credential) => ({
    ...right,
    response: { ...right.response, ...change(right.response) },
  });
/** One bit of one byte; negative: from the end. */
function flipped(base64url: string, at: number, bit = 1): string {
  const bytes = Buffer.from(base64url, 'base64url');
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ bit;
  return bytes.toString('base64url');
}
/** Client data with one more member. */
function longer(base64url: string): string {
  const data: object = JSON.parse(Buffer.from(base64url, 'base64url').toString());
  return Buffer.from(JSON.stringify({ ...data, more: 1 })).toString('base64url');
}

/** Each of the forgeries, by its name, is refused alike, and opens no session. */
async function refusesAll<T>(
  forgeries: readonly (readonly [string, T])[],
  send: (forgery: T) => Promise<Answer>,
  refusal = [401, 'invalid_passkey'],
): Promise<void> {
  const before = await sessions();
  const answers: unknown[] = [];
  for (const [name, forgery] of forgeries) {
    const { status, json } = await send(forgery);
    answers.push([name, status, json?.code]);
  }
  expect(answers).toEqual(forgeries.map(([name]) => [name, ...refusal]));
  expect(await sessions()).toBe(before);
}
const refuses = (...credentials: readonly object[]) =>
  refusesAll(
    credentials.map((credential, i) => [`answer ${i}`, credential] as const),
    page.signIn,
  );

/** What a browser or an authenticator signs in the wrong place. */
const SIGNED: readonly (readonly [string, Answering])[] = [
  ...[
    'https://evil.test',
    'https://evil.example.org',
    'https://app.example.org.evil.test',
    'https://evilexample.org',
    'http://app.example.org',
    'https://app.example.org:8443',
    'https://app.example.org/',
    'HTTPS://APP.EXAMPLE.ORG',
    'null',
    'android:apk-key-hash:AAAA',
  ].map((origin) => [`the origin ${origin}`, { origin }] as const),
  ...['app.example.org', 'org', 'evil.test', 'EXAMPLE.ORG', 'example.org.', ''].map(
    (rpId) => [`the RP ID ${JSON.stringify(rpId)}`, { rpId }] as const,
  ),
  ['a frame of another origin', { clientData: { crossOrigin: true } }],
  [
    'a frame that names the page around it',
    { clientData: { crossOrigin: true, topOrigin: 'https://app.example.org' } },
  ],
  ['a page around it alone', { clientData: { topOrigin: 'https://evil.test' } }],
  ['a payment', { type: 'payment.get' }],
  ['no touch', { userPresent: false }],
  ['a backup of what cannot be backed up', { backupEligible: false, backedUp: true }],
];

describe('a sign-in by a passkey is refused', () => {
  const answering = async (given: Answering) =>
    page.signIn(
      page.authenticator.get((await page.request()).json.public_key, victim.passkey, given),
    );

  test('of another page, RP ID or frame', () => refusesAll(SIGNED, answering));

  test('without one of its required members', () =>
    refusesAll<Answering>(
      [
        ['the type of a registration', { type: 'webauthn.create' }],
        ['no user verification', { userVerified: false }],
        ['no user handle', { userHandle: null }],
        ['another backup eligibility', { backupEligible: false, backedUp: false }],
      ],
      answering,
    ));

  test('that was changed after signing (planted: no signature check)', () =>
    refusesAll<(response: Response) => Partial<Response>>(
      [
        ['signature', ({ signature }) => ({ signature: flipped(signature, -1) })],
        ['a cut signature', ({ signature }) => ({ signature: signature.slice(0, 8) })],
        ['counter', (response) => ({ authenticatorData: flipped(response.authenticatorData, 36) })],
        [
          'a flag',
          // A reserved one: nothing but the signature speaks against it.
          (response) => ({ authenticatorData: flipped(response.authenticatorData, 32, 2) }),
        ],
        [
          'more authenticator data',
          (response) => ({ authenticatorData: `${response.authenticatorData}AAAA` }),
        ],
        [
          'cut authenticator data',
          (response) => ({ authenticatorData: response.authenticatorData.slice(0, 40) }),
        ],
        ['more client data', ({ clientDataJSON }) => ({ clientDataJSON: longer(clientDataJSON) })],
      ],
      async (change) => page.signIn(await forged(withResponse(change))),
    ));

  test('with user verification that was set after signing', async () => {
    const { json } = await page.request();
    const right = page.authenticator.get(json.public_key, victim.passkey, { userVerified: false });
    await refuses(
      withResponse(({ authenticatorData: data }) => ({ authenticatorData: flipped(data, 32, 4) }))(
        right,
      ),
    );
  });

  test('with an old answer to which the new challenge was written', async () => {
    const old = await forged((right) => right);
    expect((await page.signIn(old)).status).toBe(200);
    const fresh = (await forged((right) => right)) as Credential;
    const { signature, authenticatorData } = (old as Credential).response;
    await refuses(withResponse(() => ({ signature, authenticatorData }))(fresh));
  });

  test('of a key of another account, in the name of the passkey', async () => {
    const { id } = victim.passkey;
    await refuses(await forged((right) => ({ ...right, id, rawId: id }), attacker.passkey));
    const userHandle = victim.passkey.userHandle;
    const renamed = withResponse(() => ({ userHandle }));
    await refuses(
      await forged((right) => ({ ...renamed(right), id, rawId: id }), attacker.passkey),
    );
  });

  test('of another user handle than that of the passkey (planted: the handle is not compared)', async () => {
    for (const userHandle of [attacker.passkey.userHandle, 'AAAA', victim.id])
      await refuses(await forged(withResponse(() => ({ userHandle }))));
    // Nor does the victim's handle turn the attacker's passkey into the victim's.
    const { userHandle } = victim.passkey;
    await refuses(
      await forged(
        withResponse(() => ({ userHandle })),
        attacker.passkey,
      ),
    );
  });

  test('of two different ids', async () => {
    await refuses(await forged((right) => ({ ...right, rawId: attacker.passkey.id })));
    await refuses(await forged((right) => ({ ...right, id: attacker.passkey.id })));
    await refuses(await forged((right) => ({ ...right, id: 'AAAA', rawId: 'AAAA' })));
  });
});

test('a second factor of another account is refused, also for a step-up (planted: found by its id)', async () => {
  const pending = await firstStep(client, victim.email);
  const { id, userHandle } = victim.passkey;
  await refusesAll(
    [
      ['its own', attacker.passkey],
      ['under the other name', { ...attacker.passkey, id, userHandle }],
      ['of the other user', { ...victim.passkey, userHandle: attacker.passkey.userHandle }],
    ],
    (passkey) => page.verify(pending, passkey),
  );
  await refusesAll([['its own', attacker.passkey]], (one) => page.stepUp(victim.token, one));
  // Security keys do not tell the handle when they are asked for one of a list.
  expect((await page.verify(pending, victim.passkey, { userHandle: null })).status).toBe(200);
});

test('a second factor of another page, RP ID or frame is refused', () =>
  refusesAll(SIGNED, (given) => page.stepUp(victim.token, victim.passkey, given)));

describe('a registration is refused', () => {
  const registered = async (given: Answering, change = (credential: object) => credential) => {
    const options = (await page.creation(attacker.token)).json.public_key;
    const { credential } = page.authenticator.create(options, given);
    return page.register(attacker.token, change(credential));
  };

  test('of another page, RP ID or frame', async () => {
    const all = [...SIGNED, ['the type of a sign-in', { type: 'webauthn.get' }]] as const;
    await refusesAll<Answering>(all, registered, [400, 'passkey_not_accepted']);
    expect(await page.list(attacker.token)).toHaveLength(1);
  });

  test('in the name of a passkey of another account', async () => {
    const { id } = victim.passkey;
    const answer = await registered({}, (credential) => ({ ...credential, id, rawId: id }));
    expect([answer.status, answer.json.code]).toEqual([400, 'passkey_not_accepted']);
    expect((await registered({ credentialId: id })).json.code).toBe('passkey_exists');
  });
});
