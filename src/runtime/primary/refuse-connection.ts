import type { Socket } from 'node:net';
import { problems } from '../../kernel/errors';

export const overloadedProblem = problems.unavailable(
  'overloaded',
  'No worker accepted the connection in time. Try again after the time in Retry-After.',
  1,
);
const REFUSAL_LINGER_MS = 1000;

/** Sends an answer that any HTTP client understands. */
export function refuseConnection(socket: Socket, answer: string): void {
  // The request must be read: closing with unread bytes would reset the connection, and the answer
  // would be lost.
  socket.resume();
  socket.end(answer);
  socket.setTimeout(REFUSAL_LINGER_MS, () => socket.destroy());
  socket.once('end', () => socket.destroy());
}
