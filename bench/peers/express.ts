import { createServer } from 'node:http';
import express, { Router } from 'express';
import { messageConstructors } from '../../src/platform/http/fast-prototypes';
import { peerSettings } from './settings';

// An Express app with one route and a constant response, to measure the cost of its messages.
const { port, constructors = false } = peerSettings();
const body = JSON.stringify({
  id: '0123456789abcdef01234567',
  name: 'User 0',
  email: 'user0@bench.example',
  role: 'user',
});
const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };

const router = Router();
router.get('/profile', (_req, res) => {
  res.writeHead(200, headers);
  res.end(body);
});
const app = express();
app.disable('x-powered-by').disable('etag');
app.use('/api/auth', router);
createServer(constructors ? messageConstructors(app) : {}, app).listen(port, '127.0.0.1');
