import { Agent, type ClientRequest, type IncomingMessage, request as sendRequest } from 'node:http';
import { performance } from 'node:perf_hooks';

/**
 * One request of the load. `{n}` in path, body and header values is replaced with the request's
 * number.
 */
export interface PlannedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Groups records in the summary, e.g. `read` and `write`. */
  readonly tag?: string;
}

/**
 * The record of one request. Times are in ms since the load's start; unset: the step was not
 * reached.
 */
export interface RequestRecord {
  readonly n: number;
  readonly tag: string;
  readonly method: string;
  readonly path: string;
  readonly plannedMs: number;
  sentMs?: number;
  answeredMs?: number;
  status?: number;
  /**
   * Why there is no answer: a socket error's code, `TIMEOUT`, or `CUT` for a body that ended early.
   */
  error?: string;
  /** The `code` of a problem+json answer, e.g. `overloaded`. */
  code?: string;
  /** The base URL of the last attempt. */
  target?: string;
  /** How often the client itself sent it: more than 1 only with `failover`. */
  attempts: number;
}

export interface LoadOptions {
  /** Base URLs. The first that works is used; another is taken only with `failover`. */
  readonly targets: readonly string[];
  readonly ratePerSecond: number;
  readonly request: (n: number) => PlannedRequest;
  /**
   * Kept-alive connections at most, per target (default 50). Requests over that wait, and their
   * wait is counted.
   */
  readonly connections?: number;
  /** Longest time for one attempt, in ms (default 5000). */
  readonly timeoutMs?: number;
  /**
   * Failover of a client with two balancers: it resends a request without response once to the next
   * target, if the request is idempotent or could not connect. Later requests start at the target
   * that worked.
   */
  readonly failover?: boolean;
  /** Called for each answer; bodies of good answers are read only when this is set. */
  readonly onAnswer?: (
    record: RequestRecord,
    body: string,
    headers: IncomingMessage['headers'],
  ) => void;
}

export interface Load {
  /** Grows while the load runs. */
  readonly records: readonly RequestRecord[];
  /** Ms since the start, on the clock of the records. */
  elapsedMs(): number;
  /**
   * Stops planning, waits for requests in flight (each bounded by its timeout), and closes the
   * connections.
   */
  stop(): Promise<readonly RequestRecord[]>;
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const NEVER_SENT = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'CONNECT_TIMEOUT']);
const TICK_MS = 5;

/** Takes the requests of `mix` in turn. */
export function mixOf(mix: readonly PlannedRequest[]): (n: number) => PlannedRequest {
  return (n) => {
    const one = mix[n % mix.length];
    if (one === undefined) throw new RangeError('the mix of a load must not be empty');
    return one;
  };
}

/**
 * Open loop: request n is due at n / rate, whether or not earlier ones were answered, so that a
 * stall shows in every request it delayed (no coordinated omission). Nothing is retried unless
 * `failover` says so.
 */
export function startLoad(options: LoadOptions): Load {
  const start = performance.now();
  const elapsedMs = () => performance.now() - start;
  const records: RequestRecord[] = [];
  const pending = new Set<Promise<void>>();
  const client = createClient(options, elapsedMs);
  let next = 0;

  const timer = setInterval(() => {
    const due = Math.floor((elapsedMs() * options.ratePerSecond) / 1000);
    for (; next <= due; next += 1) {
      const planned = numbered(options.request(next), next);
      const record: RequestRecord = {
        n: next,
        tag: planned.tag ?? planned.method,
        method: planned.method,
        path: planned.path,
        plannedMs: (next * 1000) / options.ratePerSecond,
        attempts: 0,
      };
      records.push(record);
      const work = client.perform(record, planned).finally(() => pending.delete(work));
      pending.add(work);
    }
  }, TICK_MS);

  return {
    records,
    elapsedMs,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      client.close();
      return records;
    },
  };
}

/** Runs a load for `durationMs`. */
export async function runLoad(
  options: LoadOptions,
  durationMs: number,
): Promise<readonly RequestRecord[]> {
  const load = startLoad(options);
  await new Promise((resolve) => setTimeout(resolve, durationMs));
  return load.stop();
}

function numbered(planned: PlannedRequest, n: number): PlannedRequest {
  const fill = (text: string) => text.replaceAll('{n}', String(n));
  return {
    ...planned,
    path: fill(planned.path),
    ...(planned.body === undefined ? {} : { body: fill(planned.body) }),
    headers: Object.fromEntries(
      Object.entries(planned.headers ?? {}).map(([name, value]) => [name, fill(value)]),
    ),
  };
}

interface Door {
  readonly target: string;
  readonly agent: Agent;
}

function createClient(options: LoadOptions, elapsedMs: () => number) {
  const { targets, connections = 50, failover = false } = options;
  const doors: readonly Door[] = targets.map((target) => ({
    target,
    agent: new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' }),
  }));
  let preferred = 0;

  async function perform(record: RequestRecord, planned: PlannedRequest): Promise<void> {
    const order = [...doors.slice(preferred), ...doors.slice(0, preferred)].slice(
      0,
      failover ? doors.length : 1,
    );
    for (const door of order) {
      record.target = door.target;
      record.attempts += 1;
      delete record.error;
      // As browsers do: another idle connection may lead to the same process that has just died.
      const { target } = door;
      const used = record.attempts === 1 ? door : { target, agent: false as const };
      await attempt(record, planned, used, {
        timeoutMs: options.timeoutMs ?? 5000,
        elapsedMs,
        onAnswer: options.onAnswer,
      });
      if (record.error === undefined) {
        preferred = doors.indexOf(door);
        return;
      }
      if (!mayRepeat(planned.method, record.error)) return;
    }
  }

  function close(): void {
    for (const { agent } of doors) agent.destroy();
  }

  return { perform, close };
}

const mayRepeat = (method: string, error: string) =>
  IDEMPOTENT.has(method) || NEVER_SENT.has(error);

interface Watch {
  readonly timeoutMs: number;
  readonly elapsedMs: () => number;
  readonly onAnswer: LoadOptions['onAnswer'];
}

function attempt(
  record: RequestRecord,
  planned: PlannedRequest,
  { target, agent }: Pick<Door, 'target'> & { readonly agent: Agent | false },
  watch: Watch,
): Promise<void> {
  return new Promise((resolve) => {
    const { body } = planned;
    const headers = {
      ...(body === undefined
        ? {}
        : {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(body)),
          }),
      ...planned.headers,
    };
    let connected = false;
    const sending: ClientRequest = sendRequest(
      new URL(planned.path, target),
      { method: planned.method, agent, headers },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => {
          if (watch.onAnswer !== undefined || (answer.statusCode ?? 0) >= 400) chunks.push(chunk);
        });
        answer.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'CUT'));
        answer.on('end', () => {
          if (!answer.complete) return fail('CUT');
          clearTimeout(timer);
          record.answeredMs = watch.elapsedMs();
          const text = Buffer.concat(chunks).toString('utf8');
          const code = /"code":"([a-z_]+)"/.exec(text)?.[1];
          if (answer.statusCode !== undefined) record.status = answer.statusCode;
          if (code !== undefined && record.status !== 200) record.code = code;
          watch.onAnswer?.(record, text, answer.headers);
          resolve();
        });
      },
    );
    const fail = (code: string) => {
      clearTimeout(timer);
      record.error ??= code;
      sending.destroy();
      resolve();
    };
    const timer = setTimeout(
      () => fail(connected ? 'TIMEOUT' : 'CONNECT_TIMEOUT'),
      watch.timeoutMs,
    );
    sending.on('socket', (socket) => {
      const sent = () => {
        connected = true;
        record.sentMs ??= watch.elapsedMs();
      };
      if (socket.connecting) socket.once('connect', sent);
      else sent();
    });
    sending.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.name));
    sending.end(body);
  });
}
