// A service that accepts the tokens of clustered-auth-api. It never asks about a token, and still
// accepts none whose end was acknowledged: the verifier follows what ends.
//   node examples/resource-server/server.mjs
import { createVerifier, expressVerifier } from '@clustered-auth/verifier';
import express from 'express';

const { AUTH_URL = 'http://localhost:3000', AUTH_AUDIENCE = 'api', PORT = '4000' } = process.env;
// A service account with the scopes revocations:read and tokens:introspect. Without one a token is
// accepted until it expires.
const { AUTH_CLIENT_ID: clientId, AUTH_CLIENT_SECRET: clientSecret = '' } = process.env;

const verifier = createVerifier({
  issuer: AUTH_URL,
  audience: AUTH_AUDIENCE,
  allowHttp: AUTH_URL.startsWith('http:'),
  ...(clientId && { credentials: { clientId, clientSecret } }),
  whenSilent: 'introspect',
  onEvent: ({ error, ...event }) =>
    console.log(JSON.stringify({ verifier: event, error: error && String(error) })),
});

const orders = new Map(); // by owner
const ordersOf = (owner) => orders.get(owner) ?? [];

const app = express();
app.disable('x-powered-by');

// Ready when the verifier knows what has ended: a load balancer waits for it.
app.get('/readyz', (_req, res) => {
  const isReady = !clientId || verifier.isCurrent;
  res.status(isReady ? 200 : 503).json({ ready: isReady });
});

app.use('/orders', expressVerifier(verifier));

app.get('/orders', (req, res) => {
  res.json({ data: ordersOf(req.auth.sub) });
});

app.post('/orders', express.json({ limit: '10kb' }), (req, res) => {
  if (typeof req.body?.item !== 'string') return res.status(422).json({ title: 'item is missing' });
  const order = { item: req.body.item, at: new Date().toISOString() };
  orders.set(req.auth.sub, [...ordersOf(req.auth.sub), order]);
  return res.status(201).json(order);
});

// The role is that at the issue of the token: a change of role ends the tokens from before it.
const admins = expressVerifier(verifier, { allow: ({ role }) => role === 'admin' });
app.get('/reports', admins, (_req, res) => res.json({ owners: orders.size }));

const server = app.listen(Number(PORT), () =>
  console.log(JSON.stringify({ msg: 'listening', port: server.address().port })),
);

function close() {
  verifier.close();
  server.close(() => process.exit(0));
  server.closeIdleConnections();
}
process.once('SIGTERM', close).once('SIGINT', close);
