import { startTestService, type TestService } from '../../../support/app';
import { createDpopKey } from '../../../support/dpop';
import { createClient, register } from '../../../support/http';
import { openTranscript, type Transcript, transcriptOf } from '../../../support/transcripts';

const PAGE = 'https://app.example.org';
let service: TestService;
let shell: Transcript;
beforeAll(async () => {
  service = await startTestService({ BROWSER_ORIGINS: PAGE });
  shell = await openTranscript();
});
afterAll(async () => {
  await shell?.close();
  await service?.close();
});

/** What the page asks a reader to make with a library. */
async function proofs() {
  const jose = await import('jose');
  const [key, other] = [await createDpopKey(jose), await createDpopKey(jose)];
  const { baseUrl } = service;
  return {
    LOGIN_PROOF: await key.proof('POST', `${baseUrl}/api/auth/login`),
    REFRESH_PROOF: await key.proof('POST', `${baseUrl}/api/auth/refresh`),
    OTHER_KEY_PROOF: await other.proof('POST', `${baseUrl}/api/auth/refresh`),
  };
}

test('the transcripts of docs/browser-sessions.md run as they stand', async () => {
  await register(createClient(service.baseUrl), { name: 'Ada', email: 'ada@example.org' });
  const blocks = transcriptOf('docs/browser-sessions.md');
  expect(blocks).toHaveLength(2);
  await shell.set({ URL: service.baseUrl, PAGE });
  for (const block of blocks) {
    // Proofs are for now: they are made when their block begins.
    await shell.set(await proofs());
    await shell.replay(block);
  }
});

test.each([
  ['an answer that the page does not show', 'echo \'{"code":"a"}\'', '{"code":"b"}', /printed:/],
  ['more than the page shows', 'echo one; echo two', 'one', /printed:/],
  ['nothing, where the page shows an answer', 'true', '…', /printed:/],
  ['an answer, where the page shows none', 'echo one', '', /printed:/],
  ['a value with another member in it', 'echo \'"a","b"\'', '"…"', /printed:/],
  ['a failed command', 'curl -s "$URL" | jq .', '', /ended with/],
  ['a variable that nobody has set', 'echo "$UNSET"', '…', /ended with/],
  ['half a command', 'echo "', '', /ended with/],
])('a transcript fails by %s', async (_, command, shown, reason) => {
  const own = await openTranscript();
  try {
    await own.set({ URL: 'http://127.0.0.1:1' });
    await expect(own.replay([{ command, shown }])).rejects.toThrow(reason);
  } finally {
    await own.close();
  }
});
