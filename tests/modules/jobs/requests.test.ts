import { createJobStore } from '../../../src/platform/jobs/job-store';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  uniqueEmail,
} from '../../support/http';
import { formOf, impersonate, type Person, personOf } from '../../support/impersonation';
import { startTestMongo, type TestMongo } from '../../support/mongo';

let mongo: TestMongo;
/** Takes files and runs no jobs. */
let host: TestService;
let client: Client;
let admin: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  host = await startTestService({ ROLES: 'clerk=users:import', JOBS_RUN: 'false' }, mongo);
  client = createClient(host.baseUrl);
  admin = await login(client, host.admin.email, host.admin.password);
});
afterAll(async () => {
  await host?.close();
  await mongo?.close();
});

const clerk = () => personOf(host, client, 'clerk');
const outcome = ({ status, json }: { status: number; json: { code?: string } | undefined }) =>
  status < 300 ? status : `${status} ${json?.code}`;

async function queuedBy(token: string): Promise<string> {
  const answer = await client('POST', '/api/users/import', {
    ...{ token, raw: `{"email":"${uniqueEmail()}"}\n{"email":"no"}\n` },
    headers: { 'content-type': 'application/x-ndjson' },
  });
  return (answer.headers.get('location') ?? '').split('/').at(-1) ?? '';
}

const cancel = (id: string, token: string) => client('POST', `/api/jobs/${id}/cancel`, { token });
const report = (id: string, token: string) => client('GET', `/api/jobs/${id}/report`, { token });
const audited = async (subject: string, type: string) =>
  (await client('GET', `/api/audit-events?subject=${subject}&type=${type}`, { token: admin })).json
    .data as { actor: string; reason: string; request_id: string }[];

/** Another process runs jobs meanwhile. */
async function whileJobsRun<T>(work: () => Promise<T>): Promise<T> {
  const settings = { ROLES: 'clerk=users:import', JOBS_POLL_MS: '50' };
  const worker = await startTestService(settings, mongo);
  try {
    return await work();
  } finally {
    await worker.close();
  }
}

const firstOf = (id: string, type: string) =>
  eventually(type, async () => (await audited(id, type))[0]);
const ended = (id: string) =>
  eventually('the end of the job', async () => {
    const { json } = await client('GET', `/api/jobs/${id}`, { token: admin });
    return ['done', 'failed', 'cancelled'].includes(json.state) && json.state;
  });

describe('a job that is cancelled', () => {
  test('names the user that cancelled it, once, and no later one', async () => {
    const [importer, canceller] = [await clerk(), await clerk()];
    const id = await queuedBy(importer.token);
    const answer = await cancel(id, canceller.token);
    expect([answer.status, answer.json.state]).toEqual([202, 'cancelled']);
    expect((await cancel(id, importer.token)).status).toBe(202);
    const event = await firstOf(id, 'job_cancelled');
    expect(event).toMatchObject({ actor: canceller.id, result: 'success' });
    expect(event.request_id).not.toBe('');
    expect(await audited(id, 'job_cancelled')).toHaveLength(1);
  });

  test('while it runs ends in the name of the user that cancelled it', async () => {
    const [importer, canceller] = [await clerk(), await clerk()];
    const id = await queuedBy(importer.token);
    const store = createJobStore(host.database.connection, {
      ...{ leaseMs: 1, activeMax: 10, keepMs: 60_000, timeoutMs: 2000 },
    });
    // By a process that dies.
    expect((await store.claim(['users.import'], 'dies'))?.id).toBe(id);
    const answer = await cancel(id, canceller.token);
    expect([answer.json.state, answer.json.cancelling]).toEqual(['running', true]);
    expect(await whileJobsRun(() => ended(id))).toBe('cancelled');
    expect(await firstOf(id, 'users_imported')).toMatchObject({
      ...{ actor: canceller.id, reason: 'cancelled', result: 'failure' },
    });
  });
});

test('an administrator who acts as a user cancels in its own name', async () => {
  const [importer, root] = [await clerk(), await personOf(host, client, 'admin')];
  const id = await queuedBy(importer.token);
  await cancel(id, await impersonate(client, await clerk(), root));
  expect(await firstOf(id, 'job_cancelled')).toMatchObject({ actor: root.id });
  const jobs = host.database.connection.collection('jobs');
  expect(await jobs.findOne({ state: 'cancelled', cancelledBy: root.id })).not.toBeNull();
});

describe('the report of a job', () => {
  const age = ({ id }: Person) =>
    host.database.connection
      .collection('sessions')
      .updateMany({ userId: id }, { $set: { createdAt: new Date(Date.now() - 3_600_000) } });

  async function serviceAccount(): Promise<string> {
    const body = { name: 'Importer', scopes: ['users:import'] };
    const made = (await client('POST', '/api/service-accounts', { token: admin, body })).json;
    const form = { grant_type: 'client_credentials', client_id: made.id };
    const answer = await client(
      'POST',
      '/api/auth/token',
      formOf({ ...form, client_secret: made.client_secret }),
    );
    return answer.json.access_token;
  }

  async function doneBy(token: string): Promise<string> {
    const id = await queuedBy(token);
    expect(await whileJobsRun(() => ended(id))).toBe('done');
    return id;
  }

  test('is shown after a recent login, to the user itself, and each reading is audited', async () => {
    const [importer, reader] = [await clerk(), await clerk()];
    const id = await doneBy(importer.token);
    await age(reader);
    expect(outcome(await report(id, reader.token))).toBe('401 insufficient_user_authentication');
    const root = await personOf(host, client, 'admin');
    const acting = await impersonate(client, importer, root);
    expect(outcome(await report(id, acting))).toBe('403 impersonation_forbidden');
    expect(await audited(id, 'job_report_read')).toEqual([]);
    const again = await login(client, reader.email, PASSWORD);
    const answer = await report(id, again);
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"line":2')]);
    expect(await firstOf(id, 'job_report_read')).toMatchObject({ actor: reader.id });
  });

  test('is shown to the service account that sent the file, and to no other one', async () => {
    const [own, other] = [await serviceAccount(), await serviceAccount()];
    const id = await doneBy(own);
    expect(outcome(await report(id, other))).toBe('403 forbidden');
    expect(outcome(await report(id, own))).toBe(200);
    const ofUser = await doneBy((await clerk()).token);
    expect(outcome(await report(ofUser, own))).toBe('403 forbidden');
    // The progress has no record in it.
    expect((await client('GET', `/api/jobs/${ofUser}`, { token: own })).status).toBe(200);
  });
});
