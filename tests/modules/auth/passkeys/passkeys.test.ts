import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, eventually, login, register } from '../../../support/http';
import { auditedOf, PASSKEY_SETTINGS, passkeyPage, storedPasskey } from '../../../support/passkeys';

let service: TestService;
let client: Client;
let page: ReturnType<typeof passkeyPage>;

beforeAll(async () => {
  service = await startTestService(PASSKEY_SETTINGS);
  client = createClient(service.baseUrl);
  page = passkeyPage(client);
});
afterAll(() => service?.close());

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString());
const remove = (token: string, id: string) =>
  client('DELETE', `/api/auth/passkeys/${id}`, { token });

describe('a registration', () => {
  test('gives options that name the user by a random handle, never by id or address', async () => {
    const { user, access_token: token } = await register(client);
    const { json, headers } = await page.creation(token);
    expect(headers.get('cache-control')).toBe('no-store');
    const { user: entity, challenge, excludeCredentials, ...rest } = json.public_key;
    expect(entity).toEqual({
      id: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      name: user.email,
      displayName: user.name,
    });
    expect(Buffer.from(challenge, 'base64url')).toHaveLength(32);
    expect(excludeCredentials).toEqual([]);
    expect(rest).toMatchObject({
      rp: { id: 'example.org', name: 'example.org' },
      attestation: 'none',
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: 'public-key', alg })),
      authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' },
      timeout: 300_000,
    });
    // The same for every passkey of the account.
    expect((await page.creation(token)).json.public_key.user.id).toBe(entity.id);
  });

  test('of two first requests at once, both get one handle', async () => {
    const { access_token: token } = await register(client);
    const both = await Promise.all([page.creation(token), page.creation(token)]);
    const [one, other] = both.map(({ json }) => json.public_key.user.id);
    expect(one).toBe(other);
  });

  test('stores the answer of the authenticator, and the list shows it', async () => {
    const { user, access_token: token } = await register(client);
    const { id } = await page.add(token, { transports: ['usb'] }, 'Key ring');
    expect(await storedPasskey(service, id)).toMatchObject({
      credentialId: id,
      counter: 0,
      isBackupEligible: true,
      isBackedUp: true,
      isDiscoverable: true,
      transports: ['usb'],
    });
    expect(await page.list(token)).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
        name: 'Key ring',
        credential_id: id,
        transports: ['usb'],
        discoverable: true,
        backup_eligible: true,
        backed_up: true,
        aaguid: '00000000-0000-0000-0000-000000000000',
        created_at: expect.any(String),
        last_used_at: null,
      },
    ]);
    const [event] = await eventually('the event', async () => {
      const events = await auditedOf(service, user.id, 'factor_added');
      return events.length > 0 && events;
    });
    expect(event).toMatchObject({ actor: user.id, result: 'success' });
    const { excludeCredentials } = (await page.creation(token)).json.public_key;
    expect(excludeCredentials).toEqual([{ type: 'public-key', id, transports: ['usb'] }]);
  });

  test('is named after the browser unless it has a name', async () => {
    const { access_token: token } = await register(client);
    await page.add(token);
    expect((await page.list(token))[0].name.length).toBeGreaterThan(3);
  });

  test('of a passkey that any account has already is refused', async () => {
    const { access_token: token } = await register(client);
    const { id } = await page.add(token);
    for (const other of [token, (await register(client)).access_token]) {
      const options = (await page.creation(other)).json.public_key;
      const { credential } = page.authenticator.create(options, { credentialId: id });
      const refused = await page.register(other, credential);
      expect([refused.status, refused.json.code]).toEqual([409, 'passkey_exists']);
    }
  });

  test('ends at the maximum number of passkeys, also with two at once', async () => {
    const few = await startTestService({ ...PASSKEY_SETTINGS, PASSKEYS_PER_USER: '2' });
    try {
      const its = createClient(few.baseUrl);
      const there = passkeyPage(its);
      const { access_token: token } = await register(its);
      await there.add(token);
      const answers = await Promise.all(
        (await Promise.all([there.creation(token), there.creation(token)])).map(({ json }) =>
          there.register(token, there.authenticator.create(json.public_key).credential),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
      const refused = await there.creation(token);
      expect([refused.status, refused.json.code]).toEqual([409, 'too_many_passkeys']);
    } finally {
      await few.close();
    }
  });
});

describe('a sign-in with a passkey alone', () => {
  test('opens a session of two factors, and tells nothing before', async () => {
    const { user, access_token: token } = await register(client);
    const passkey = await page.add(token, { backupEligible: false, backedUp: false });
    const { json } = await page.request();
    expect(json.public_key).toMatchObject({
      rpId: 'example.org',
      allowCredentials: [],
      userVerification: 'required',
    });
    const answer = await page.signIn(page.authenticator.get(json.public_key, passkey));
    expect([answer.status, answer.json.user.id]).toEqual([200, user.id]);
    expect(claimsOf(answer.json.access_token)).toMatchObject({
      sub: user.id,
      amr: ['hwk', 'user', 'mfa'],
      acr: 'aal2',
    });
    const [shown] = await page.list(answer.json.access_token);
    expect(Date.parse(shown.last_used_at)).toBeGreaterThan(Date.now() - 60_000);
  });

  test('of a synchronized passkey says so, and follows the backup', async () => {
    const { access_token: token } = await register(client);
    const passkey = await page.add(token, { backupEligible: true, backedUp: false });
    const answer = await page.use(passkey, { backedUp: true });
    expect(claimsOf(answer.json.access_token).amr).toEqual(['swk', 'user', 'mfa']);
    expect(await storedPasskey(service, passkey.id)).toMatchObject({ isBackedUp: true });
    await page.use(passkey, { backedUp: false });
    expect(await storedPasskey(service, passkey.id)).toMatchObject({ isBackedUp: false });
  });

  test('works with each of two passkeys, and no longer with a removed one', async () => {
    const { access_token: token } = await register(client);
    const [first, second] = [await page.add(token), await page.add(token)];
    for (const one of [first, second]) expect((await page.use(one)).status).toBe(200);
    expect((await remove(token, first.passkeyId)).status).toBe(204);
    const refused = await page.use(first);
    expect([refused.status, refused.json.code]).toEqual([401, 'invalid_passkey']);
    expect((await page.use(second)).status).toBe(200);
    expect(await page.list(token)).toHaveLength(1);
  });

  test('is refused to a banned account and to a removed one', async () => {
    const admin = await login(client, service.admin.email, service.admin.password);
    const { user, access_token: token } = await register(client);
    const passkey = await page.add(token);
    await client('POST', `/api/users/${user.id}/ban`, { token: admin, body: {} });
    expect((await page.use(passkey)).json.code).toBe('invalid_passkey');
    await client('POST', `/api/users/${user.id}/unban`, { token: admin });
    expect((await page.use(passkey)).status).toBe(200);
    await client('DELETE', `/api/users/${user.id}`, { token: admin });
    expect((await page.use(passkey)).json.code).toBe('invalid_passkey');
    await eventually('the purge', async () => {
      const rows = service.database.connection.collection<{ _id: string }>('passkeys');
      return (await rows.findOne({ _id: user.id })) === null;
    });
  });
});

describe('the own passkeys', () => {
  test('are renamed and removed by their owner alone', async () => {
    const { user, access_token: token } = await register(client);
    const { passkeyId } = await page.add(token, {}, 'Old');
    const path = `/api/auth/passkeys/${passkeyId}`;
    const stranger = (await register(client)).access_token;
    for (const answer of [
      await client('PATCH', path, { token: stranger, body: { name: 'Mine' } }),
      await remove(stranger, passkeyId),
    ])
      expect([answer.status, answer.json.code]).toEqual([404, 'passkey_not_found']);
    const renamed = await client('PATCH', path, { token, body: { name: 'New' } });
    expect([renamed.status, renamed.json.name]).toEqual([200, 'New']);
    expect((await remove(token, passkeyId)).status).toBe(204);
    expect((await remove(token, passkeyId)).json.code).toBe('passkey_not_found');
    const types = ['factor_added', 'passkey_renamed', 'factor_removed'];
    await eventually('the events', async () => {
      const found = await Promise.all(types.map((type) => auditedOf(service, user.id, type)));
      return found.every((events) => events.length === 1) && found;
    });
  });

  test('the last one stays where the account has no password; another one may go', async () => {
    const { user, access_token: token } = await register(client);
    const [first, second] = [await page.add(token), await page.add(token)];
    const security = await page.add(token, { discoverable: false });
    await service.database.connection
      .collection('users')
      .updateOne({ email: user.email }, { $set: { passwordHash: '!no-password' } });
    // Both at once: one must stay. The third cannot sign in alone.
    const answers = await Promise.all(
      [first, second].map(({ passkeyId }) => remove(token, passkeyId)),
    );
    // The other one is refused as the last, or as a second removal at the same time.
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    const kept = answers[0]?.status === 204 ? second : first;
    expect((await remove(token, kept.passkeyId)).json.code).toBe('last_sign_in_method');
    expect((await remove(token, security.passkeyId)).status).toBe(204);
    expect((await page.use(kept)).status).toBe(200);
  });
});
