import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login } from '../../../support/http';

const lines: Record<string, unknown>[] = [];
let service: TestService;
let client: Client;
let token: string;

beforeAll(async () => {
  const logTo = { write: (line: string) => lines.push(JSON.parse(line)) };
  service = await startTestService({ LOG_LEVEL: 'warn' }, undefined, logTo);
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

test.each(['', '&count=true'])(
  'a list without its index is 503%s, and the log says what to do',
  async (more) => {
    const users = service.database.connection.collection('users');
    const path = `/api/users?sort=name${more}`;
    const found = (await users.listIndexes().toArray()).find(
      ({ name }) => name === 'by_state_name',
    );
    await users.dropIndex('by_state_name');
    lines.length = 0;
    const answer = await client('GET', path, { token });
    expect([answer.status, answer.json.code]).toEqual([503, 'index_missing']);
    expect(answer.headers.get('retry-after')).toBe('60');
    expect(answer.text).not.toContain('by_state_name');
    expect(lines).toMatchObject([
      {
        msg: 'request failed',
        code: 'index_missing',
        err: {
          message: 'the index users.by_state_name is missing, run npm run migrate -- up',
        },
      },
    ]);
    const { key, collation } = found as { key: Record<string, 1>; collation: { locale: string } };
    await users.createIndex(key, { name: 'by_state_name', collation });
    expect((await client('GET', path, { token })).status).toBe(200);
  },
);
