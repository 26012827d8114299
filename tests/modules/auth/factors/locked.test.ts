import { startTestService, type TestService } from '../../../support/app';
import { appOf, firstStep, laterOn, verify, withTotp } from '../../../support/factors';
import { type Answer, type Client, createClient, register } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

let mongo: TestMongo;
let service: TestService;
let client: Client;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService({}, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});

const rows = (name: string) => service.database.connection.collection(name);
const codeOf = ({ status, json }: Answer) => [status, json.errors?.[0]?.code ?? json.code];
const WRONG = [422, 'wrong_code'];
const LOCKED = [429, 'too_many_attempts'];

/** As if the window of a lock had passed. */
const unlock = () => rows('counters').deleteMany({});

test('a right code confirms no app while wrong ones have locked it', async () => {
  const { user, access_token: token } = await register(client);
  const enrolment = await client('POST', '/api/auth/factors/totp', { token, body: {} });
  const app = appOf(enrolment.json.otpauth_uri);
  const confirm = (code: string) =>
    client('POST', '/api/auth/factors/totp/confirm', { token, body: { code } });
  for (let i = 0; i < 10; i += 1) expect(codeOf(await confirm(app(7)))).toEqual(WRONG);
  expect(codeOf(await confirm(app()))).toEqual(LOCKED);
  const factors = await client('GET', '/api/auth/factors', { token });
  expect(factors.json.data).toEqual([]);
  await unlock();
  const confirmed = await confirm(app());
  expect([confirmed.status, confirmed.json.recovery_codes]).toEqual([200, expect.any(Array)]);
  expect(await rows('factors').countDocuments({ userId: user.id })).toBe(1);
});

test('as many wrong codes as a day allows lock the app, and not the recovery codes', async () => {
  const few = await startTestService({ LOGIN_ATTEMPTS_PER_ACCOUNT_DAY: '10' }, mongo);
  try {
    const by = createClient(few.baseUrl);
    const { email, app, recoveryCodes } = await withTotp(few, by);
    const token = await firstStep(by, email);
    for (let i = 0; i < 10; i += 1) expect(codeOf(await verify(by, token, app(7)))).toEqual(WRONG);
    expect(codeOf(await verify(by, token, app()))).toEqual(LOCKED);
    const opened = await verify(by, token, recoveryCodes[0] ?? '', 'recovery_code');
    expect(opened.status).toBe(200);
  } finally {
    await few.close();
  }
});

test('a right code that is sent again and again, also at once, locks nothing', async () => {
  const { id, email, app } = await withTotp(service, client);
  const token = await firstStep(client, email);
  const code = app();
  const send = () => verify(client, token, code);
  const atOnce = await Promise.all(Array.from({ length: 30 }, send));
  expect(atOnce.filter(({ status }) => status === 200)).toHaveLength(1);
  const next = await firstStep(client, email);
  for (let i = 0; i < 12; i += 1) expect(codeOf(await verify(client, next, code))).toEqual(WRONG);
  await laterOn(service, id);
  expect((await verify(client, next, app())).status).toBe(200);
});

test('a right recovery code is not used up while wrong ones have locked the kind', async () => {
  const { id, email, recoveryCodes } = await withTotp(service, client);
  const token = await firstStep(client, email);
  const by = (code = '') => verify(client, token, code, 'recovery_code');
  for (let i = 0; i < 10; i += 1) expect(codeOf(await by('0000-0000-0000-0000'))).toEqual(WRONG);
  expect(codeOf(await by(recoveryCodes[0]))).toEqual(LOCKED);
  expect((await rows('recovery_codes').findOne({ _id: id as never }))?.['codes']).toHaveLength(10);
  await unlock();
  expect((await by(recoveryCodes[0])).status).toBe(200);
});
