import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Request } from 'express';
import { Counter } from 'prom-client';
import { type Problem, problems } from '../../kernel/errors';
import { type Logger, unredacted } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { correlationIdOf } from './context';
import { type CorsOrigins, corsLines } from './cors';
import {
  type ConnectionError,
  hostInvalid,
  hostMissing,
  problemOfConnection,
  unknownExpectation,
} from './early-problems';
import { PROBLEM_TYPE, problemBody } from './problem';
import { SECURITY_HEADERS } from './security-headers';

/**
 * Problem responses for requests that never reach the app: refused by Node's parser, timed out, or
 * shed. They have the same form as all problems, and are logged and counted.
 */
export interface EarlyAnswers {
  /** For a request that was parsed, before its response has begun. */
  answer(request: IncomingMessage, response: ServerResponse, problem: Problem): void;
  /** For a connection with a malformed or too slow request. Ends the connection. */
  refuse(socket: Duplex, error: ConnectionError): void;
  /**
   * For a connection of which nothing was read. Returns the bytes to send; the caller ends the
   * connection.
   */
  unread(problem: Problem): string;
}

export interface EarlyAnswersOptions {
  readonly cors?: CorsOrigins;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/** The counters of these problems start at 0. */
const KNOWN = [
  ...[
    'HPE_INVALID',
    'HPE_HEADER_OVERFLOW',
    'HPE_CHUNK_EXTENSIONS_OVERFLOW',
    'ERR_HTTP_REQUEST_TIMEOUT',
  ].map((code) => problemOfConnection(Object.assign(new Error(), { code }))),
  unknownExpectation(),
  hostMissing(),
  hostInvalid(),
  problems.unavailable('overloaded', '', 1),
];

const headerIn = (packet: Buffer | undefined, name: string): string | undefined =>
  new RegExp(`\\r\\n${name}:[ \\t]*([^\\r\\n]*?)[ \\t]*\\r\\n`, 'i').exec(
    packet?.toString('latin1') ?? '',
  )?.[1];

export function createEarlyAnswers({
  cors = { plain: [], withCookies: [] },
  log,
  metrics,
}: EarlyAnswersOptions = {}): EarlyAnswers {
  const security = SECURITY_HEADERS.flat();
  const refusalLog = log && unredacted(log);
  const refusals =
    metrics &&
    new Counter({
      name: 'http_requests_refused_total',
      help: 'Requests refused before they reached the app, by status and problem code.',
      labelNames: ['status', 'code'],
      registers: [metrics],
    });
  for (const { status, code } of KNOWN) refusals?.inc({ status: String(status), code }, 0);

  /** The headers, names and values alternating, and the body. */
  function compose(
    problem: Problem,
    given: string | undefined,
    origin: string | undefined,
    client: string,
    id: string = randomUUID(),
  ) {
    const correlationId = correlationIdOf(given, id);
    const body = JSON.stringify(problemBody(problem, id));
    refusals?.inc({ status: String(problem.status), code: problem.code });
    refusalLog?.info(
      {
        request_id: correlationId,
        status: problem.status,
        code: problem.code,
        client,
        ...(correlationId === id ? undefined : { instance: id }),
      },
      'request refused',
    );
    const headers = [
      ...['X-Request-Id', correlationId, ...security, ...corsLines(cors, origin)],
      ...[
        'Content-Type',
        PROBLEM_TYPE,
        'Content-Length',
        String(Buffer.byteLength(body)),
        'Cache-Control',
        'no-store',
      ],
      ...Object.entries(problem.headers).flat(),
    ];
    return { headers, body };
  }

  function text(
    problem: Problem,
    { headers, body }: { headers: readonly string[]; body: string },
  ): string {
    let head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? problem.title}\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    return `${head}Date: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n${body}`;
  }

  return {
    answer(request, response, problem) {
      const { 'x-request-id': given, origin } = request.headers;
      const client = request.socket.remoteAddress ?? 'unknown';
      const { context } = request as Partial<Pick<Request, 'context'>>;
      const { headers, body } = compose(
        problem,
        typeof given === 'string' ? given : undefined,
        origin,
        client,
        context?.id,
      );
      response.writeHead(problem.status, headers);
      response.end(request.method === 'HEAD' ? undefined : body);
    },
    refuse(socket, error) {
      const problem = problemOfConnection(error);
      const client =
        'remoteAddress' in socket && typeof socket.remoteAddress === 'string'
          ? socket.remoteAddress
          : 'unknown';
      const packet = error.rawPacket;
      socket.end(
        text(
          problem,
          compose(problem, headerIn(packet, 'x-request-id'), headerIn(packet, 'origin'), client),
        ),
      );
    },
    unread: (problem) => text(problem, compose(problem, undefined, undefined, 'unknown')),
  };
}
