import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface ReceivedEvent {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly sequence: number;
  readonly subject: string;
  readonly type: string;
}

export interface WebhookReceiver {
  readonly url: string;
  /** Every request, in the order of their arrival. */
  readonly received: readonly ReceivedEvent[];
  /** Those that it answered 2xx. */
  readonly accepted: readonly ReceivedEvent[];
  /** How it answers from now on. */
  answerWith(answer: (event: ReceivedEvent, res: ServerResponse) => void): void;
  close(): Promise<void>;
}

export const accept = (_event: ReceivedEvent, res: ServerResponse) => void res.writeHead(204).end();
export const refuse =
  (status: number) =>
  (_event: ReceivedEvent, res: ServerResponse): void =>
    void res.writeHead(status).end();

/** Throws unless the signature is that of the secret, by the specification's own library. */
export const verify = (secret: string, { body, headers }: ReceivedEvent): unknown =>
  new Webhook(secret).verify(body, headers as Record<string, string>);

/** An HTTP server that receives webhooks. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedEvent[] = [];
  const accepted: ReceivedEvent[] = [];
  let answer: Parameters<WebhookReceiver['answerWith']>[0] = accept;
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    req.on('end', () => {
      const { sequence, subject, type } = JSON.parse(body) as ReceivedEvent;
      const event = { path: req.url ?? '', headers: req.headers, body, subject, type };
      const one = { ...event, sequence: Number(sequence) };
      received.push(one);
      res.on('finish', () => {
        if (res.statusCode < 300) accepted.push(one);
      });
      answer(one, res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    accepted,
    answerWith(next) {
      answer = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
