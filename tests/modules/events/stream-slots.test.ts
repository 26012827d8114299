import { startTestService, type TestService } from '../../support/app';
import { createClient, eventually, login } from '../../support/http';

let service: TestService;
let token: string;

beforeAll(async () => {
  service = await startTestService({ EVENTS_STREAMS_MAX: '2' });
  token = await login(createClient(service.baseUrl), service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const open = (end: AbortController) =>
  fetch(`${service.baseUrl}/api/events/stream`, {
    headers: { authorization: `Bearer ${token}` },
    signal: end.signal,
  });

test('a client that goes makes room for another one at once, not at the next sign of life', async () => {
  const ends = [new AbortController(), new AbortController()];
  const streams = await Promise.all(ends.map(open));
  expect(streams.map(({ status }) => status)).toEqual([200, 200]);
  const refused = await open(new AbortController());
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
  expect(await refused.json()).toMatchObject({ code: 'too_many_streams' });
  for (const end of ends) end.abort();
  const last = new AbortController();
  const { status } = await eventually(
    'room for a stream',
    async () => {
      const answer = await open(last);
      return answer.status === 200 && answer;
    },
    // Signs of life are 10 s apart.
    6000,
  );
  expect(status).toBe(200);
  last.abort();
});
