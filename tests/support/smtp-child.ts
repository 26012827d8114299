import { SMTPServer } from 'smtp-server';

/** A mail server of its own process: tells its parent its port, then every mail. MODE says how it behaves. */
let failures = Number(process.env['SMTP_FAILURES'] ?? '0');

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onData(stream, session, done) {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      if (failures > 0) {
        failures -= 1;
        done(Object.assign(new Error('try again later'), { responseCode: 451 }));
        return;
      }
      const to = session.envelope.rcptTo.map(({ address }) => address);
      process.send?.({ to, raw: Buffer.concat(chunks).toString('utf8') });
      done();
    });
  },
});
server.listen(0, '127.0.0.1', () => {
  const address = server.server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
});
process.on('disconnect', () => process.exit(0));
