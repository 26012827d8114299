import { createServer } from 'node:http';
import { peerSettings } from './settings';

// (a) The limit: Node's HTTP server, a constant answer, no feature at all. The body is a string,
// which Node sends in one piece with the head; a Buffer would cost it a second chunk.
const body = JSON.stringify({
  id: '0123456789abcdef01234567',
  name: 'User 0',
  email: 'user0@bench.example',
  email_verified: false,
  role: 'user',
  status: 'active',
  external_id: null,
  user_metadata: {},
  app_metadata: {},
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  last_login_at: null,
});
const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };

createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end(body);
}).listen(peerSettings().port, '127.0.0.1');
