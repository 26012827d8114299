import { join } from 'node:path';
import { startTestService, type TestService } from '../../../support/app';
import { createClient, register } from '../../../support/http';
import { root } from '../../../support/service';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';
import { openTranscript, type Transcript, transcriptOf } from '../../../support/transcripts';

/**
 * oathtool, by the library of the service. Each call gives the code of the next step, as if half a
 * minute had passed, because a code works once.
 */
const OATHTOOL = `
oathtool() {
  local calls; calls=$(cat calls 2>/dev/null || echo 0); echo $((calls + 1)) >calls
  node -e '
    const { Secret, TOTP } = require(process.argv[1]);
    const secret = Secret.fromBase32(process.argv[2]);
    const timestamp = Date.now() + Number(process.argv[3]) * 30000;
    console.log(TOTP.generate({ secret, timestamp }));
  ' "$OTPAUTH" "$3" "$calls"
}
`;
const GRACE = 'grace@example.org';

let smtp: TestSmtp;
let service: TestService;
let shell: Transcript;
beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ SMTP_URL: smtp.url, EMAIL_SIGN_IN: 'true' });
  shell = await openTranscript(OATHTOOL);
  await shell.set({ URL: service.baseUrl, OTPAUTH: join(root, 'node_modules/otpauth') });
});
afterAll(async () => {
  await shell?.close();
  await service?.close();
  await smtp?.close();
});

/** An account whose address was confirmed with the mailed token. */
async function registerGrace() {
  const client = createClient(service.baseUrl);
  const { password } = await register(client, { name: 'Grace', email: GRACE });
  const { text } = await smtp.waitFor(GRACE, /Confirm your e-mail/);
  const token = /The token is: (\S+)/.exec(text)?.[1];
  const body = { token, current_password: password };
  expect((await client('POST', '/api/auth/email/verify', { body })).status).toBe(204);
}
async function mailedDigits() {
  const { text } = await smtp.waitFor(GRACE, /Your code to sign in/);
  return /^(\d{6})$/m.exec(text)?.[1] ?? '';
}

test('the transcripts of docs/sign-in.md run as they stand', async () => {
  await registerGrace();
  const blocks = transcriptOf('docs/sign-in.md');
  expect(blocks.length).toBeGreaterThan(5);
  for (const block of blocks) {
    const needsMail = block.some(({ command }) => command.includes('$DIGITS'));
    if (needsMail) await shell.set({ DIGITS: await mailedDigits() });
    await shell.replay(block);
  }
});
