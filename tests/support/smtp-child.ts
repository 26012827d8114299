import { SMTPServer } from 'smtp-server';

/**
 * A mail server in its own process: sends its port and then every mail to its parent. Environment
 * variables configure its behaviour.
 */
let failures = Number(process.env['SMTP_FAILURES'] ?? '0');
/** Recipients that it refuses permanently. */
const rejected = process.env['SMTP_REJECT'];

const refusal = (message: string, responseCode: number) =>
  Object.assign(new Error(message), { responseCode });

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onRcptTo({ address }, _session, done) {
    done(
      rejected !== undefined && address.includes(rejected) ? refusal('no such mailbox', 550) : null,
    );
  },
  onData(stream, session, done) {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      if (failures > 0) {
        failures -= 1;
        done(refusal('try again later', 451));
        return;
      }
      const to = session.envelope.rcptTo.map(({ address }) => address);
      process.send?.({ to, raw: Buffer.concat(chunks).toString('utf8') });
      done();
    });
  },
});
server.listen(Number(process.env['SMTP_PORT'] ?? '0'), '127.0.0.1', () => {
  const address = server.server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
});
process.on('disconnect', () => process.exit(0));
