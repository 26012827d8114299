/**
 * A consumer of events in a process of its own: each event becomes a line of FILE, and the last
 * line says where to go on after a kill. URLS is a file with the addresses of the hosts; as a
 * webhook, it listens on PORT instead.
 */
import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

interface Event {
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly sequence: string;
  readonly data: { readonly revision?: number };
}

const { FILE = '', URLS = '', TOKEN = '', FOLLOW = 'list', PORT = '' } = process.env;
const headers = { authorization: `Bearer ${TOKEN}` };
const POLL_MS = 50;
const TIMEOUT_MS = 5000;
let after = resume();

/** A line that was cut off by a kill is written again. */
function resume(): number {
  if (!existsSync(FILE)) return 0;
  const text = readFileSync(FILE, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  truncateSync(FILE, Buffer.byteLength(whole));
  return Number(whole.trimEnd().split('\n').at(-1)?.split(' ')[0] ?? 0);
}

function take(events: readonly Event[]): void {
  const receivedMs = Date.now();
  const lines = events.map(({ sequence, type, subject, data, time }) =>
    [sequence, type, subject, data.revision ?? '-', Date.parse(time), receivedMs].join(' '),
  );
  if (lines.length > 0) appendFileSync(FILE, `${lines.join('\n')}\n`);
  after = Number(events.at(-1)?.sequence ?? after);
}

const get = (url: string, path: string, timeoutMs: number) =>
  fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(timeoutMs) });

async function read(url: string): Promise<void> {
  const answer = await get(url, `/api/events?after=${after}&limit=1000`, TIMEOUT_MS);
  if (answer.status === 410) throw new Error(await answer.text());
  if (answer.status !== 200) return;
  const { data, has_more } = (await answer.json()) as { data: Event[]; has_more: boolean };
  take(data);
  if (!has_more) await pause(POLL_MS);
}

async function follow(url: string): Promise<void> {
  const path = `/api/events/stream?after=${after}&for_seconds=60`;
  const answer = await get(url, path, 70_000);
  if (answer.status !== 200 || answer.body === null) return;
  let rest = '';
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + part).split('\n\n');
    rest = blocks.pop() ?? '';
    const data = blocks.flatMap((block) => /^data: (.*)$/m.exec(block)?.[1] ?? []);
    take(data.map((text) => JSON.parse(text) as Event));
  }
}

/** What is answered 2xx is written down. */
const listen = () =>
  createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    req.on('end', () => {
      take([JSON.parse(body) as Event]);
      res.writeHead(204).end();
    });
  }).listen(Number(PORT), '127.0.0.1');

async function main(): Promise<void> {
  for (let turn = 0; ; turn += 1) {
    const urls = readFileSync(URLS, 'utf8').trim().split('\n');
    const url = urls[turn % urls.length] ?? '';
    // A host that was killed is tried again, like one that is starting.
    await (FOLLOW === 'stream' ? follow(url) : read(url)).catch(async (error: unknown) => {
      if (error instanceof SyntaxError) throw error;
      await pause(POLL_MS);
    });
  }
}

if (FOLLOW === 'webhook') listen();
else void main();
