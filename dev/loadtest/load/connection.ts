import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { completeStatus } from '../../../bench/load/open';

export interface Connection {
  send(bytes: Buffer): void;
  close(): void;
}

export interface ConnectionEvents {
  answered(connection: Connection, status: number, body: string): void;
  /** It is of no further use. */
  lost(connection: Connection): void;
}

/** A kept-alive HTTP/1.1 connection for one request at a time, which opens with its first one. */
export function dial({ protocol, hostname, port }: URL, events: ConnectionEvents): Connection {
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket: Socket =
    protocol === 'https:'
      ? connectTls({ host, port: Number(port || 443), servername: host, rejectUnauthorized: false })
      : connect({ host, port: Number(port || 80), noDelay: true });
  let received = '';
  let closed = false;
  const connection: Connection = {
    send: (bytes) => void socket.write(bytes),
    close() {
      closed = true;
      socket.destroy();
    },
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    const status = completeStatus(received);
    if (status === undefined) return;
    const body = received.slice(received.indexOf('\r\n\r\n') + 4);
    const isLast = /\r\nconnection: *close/i.test(received.slice(0, received.indexOf('\r\n\r\n')));
    received = '';
    if (isLast) closed = true;
    events.answered(connection, Number(status), body);
    if (isLast) {
      events.lost(connection);
      socket.destroy();
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (!closed) events.lost(connection);
  });
  return connection;
}
