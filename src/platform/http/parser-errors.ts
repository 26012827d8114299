import { type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionUse } from './connection-use';
import type { EarlyAnswers } from './early-answers';
import {
  type ConnectionError,
  noTunnel,
  problemOfConnection,
  unknownExpectation,
} from './early-problems';
import { isUploading } from './upload';

export interface ParserErrors {
  readonly early: Pick<EarlyAnswers, 'answer' | 'refuse'>;
  readonly useOf: (socket: Socket) => ConnectionUse | undefined;
  /** Whether a response of this connection must precede a refusal. */
  readonly isWaiting: (socket: object) => boolean;
}

/** Sends problems where Node would send a bare status line, or nothing. */
export function answerParserErrors(server: Server, errors: ParserErrors): void {
  const { early, useOf, isWaiting } = errors;

  /** A request gets one response: none for a body that breaks off after it. */
  function answerBody(
    { pending, withBody: request }: ConnectionUse,
    socket: Socket,
    error: ConnectionError,
  ): void {
    const isNext = pending?.req === request && pending?.socket === socket;
    if (pending === undefined || !isNext || pending.headersSent) return void socket.destroy();
    pending.setHeader('Connection', 'close');
    early.answer(pending.req, pending, problemOfConnection(error));
  }

  server.on('checkExpectation', (request, response) =>
    early.answer(request, response, unknownExpectation()),
  );
  // Without a listener Node closes the connection without a word. With one, it leaves the socket.
  server.on('connect', (request, socket: Socket) => {
    socket.once('error', () => socket.destroy());
    if (isWaiting(socket)) return void socket.destroy();
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    early.answer(request, response, noTunnel());
  });
  server.on('clientError', (error: ConnectionError, duplex) => {
    const socket = duplex as Socket;
    // Has a limit of its own.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && isUploading(socket)) return;
    // Responses of this turn are sent first (end-batch.ts).
    setImmediate(() => {
      const use = useOf(socket);
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
      else if (use?.withBody?.complete === false) answerBody(use, socket, error);
      // A pending response must precede the refusal, so the connection is closed without one.
      else if (isWaiting(socket)) socket.destroy();
      else early.refuse(socket, error);
    });
  });
}
