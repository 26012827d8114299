import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { Histogram } from 'prom-client';
import { createSecretKeyRing } from '../../src/auth/keys';
import { createTokens } from '../../src/auth/tokens';
import { connectCache } from '../../src/cache/create';
import { createMongoLedger, LEDGER_COLLECTION } from '../../src/cache/ledger';
import { parseConfig } from '../../src/config';
import { connectDatabase } from '../../src/data/connection';
import { createDatabaseCounters } from '../../src/data/counters';
import { createAllowance, type Decision } from '../../src/http/allowance';
import { SECURITY_HEADERS } from '../../src/http/security-headers';
import { createDestination } from '../../src/observability/destination';
import { createLogger } from '../../src/observability/logger';
import { createMetrics } from '../../src/observability/metrics';
import { type CachedUser, cachedUsers, sessionStands } from '../../src/users/cached';
import { createUserModel } from '../../src/users/model';
import { createUserRepository } from '../../src/users/repository';
import { ISSUER } from '../issuer';
import { peerSettings } from './settings';

// (d) Fastify as fast as we can make it with the features that (e) has on these routes, and with (e)'s own modules for
// tokens, cache, limit, log and metrics: what is left between the two is what Express costs.
declare module 'fastify' {
  interface FastifyRequest {
    startedAt: number;
    user_: CachedUser | undefined;
  }
}

const LIMIT = { name: 'client', limit: 100_000_000, windowMs: 60_000 };
const security = Object.fromEntries(SECURITY_HEADERS);

async function main(): Promise<void> {
  const settings = peerSettings();
  const config = parseConfig({
    NODE_ENV: 'production',
    MONGODB_URI: settings.mongodbUri,
    REDIS_URL: settings.redisUrl,
    JWT_SECRET: settings.jwtSecret,
  });
  const log = createLogger({ level: 'info' }, createDestination()).child({}, { redact: [] });
  const metrics = createMetrics();
  const { connection } = await connectDatabase(settings.mongodbUri, config.database, log);
  const ledger = createMongoLedger(() => connection.collection(LEDGER_COLLECTION), config.cache.keyPrefix);
  const cache = await connectCache({ settings: config.cache, log, metrics, ledger });
  const users = cachedUsers(cache, createUserRepository(createUserModel(connection), { timeoutMs: 2000 }).find);
  const allowance = createAllowance({ ...LIMIT, counters: createDatabaseCounters(connection, { timeoutMs: 2000 }), workers: () => 1 });
  const keys = createSecretKeyRing(settings.jwtSecret);
  const tokens = createTokens({
    ...{ keys, issuer: ISSUER, audience: config.auth.audience, ttlSeconds: 900, leewaySeconds: 5, now: Date.now },
    cacheMaxEntries: config.auth.tokenCacheMaxEntries,
  });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [metrics],
  });

  const app = Fastify({ logger: false, genReqId: () => randomUUID(), requestIdHeader: 'x-request-id' });
  app.decorateRequest('startedAt', 0);
  app.decorateRequest('user_', undefined);

  app.addHook('onRequest', (request, reply, done) => {
    request.startedAt = performance.now();
    reply.headers(security);
    reply.header('X-Request-Id', request.id);
    const admit = (decision: Decision) => {
      reply.header('RateLimit', `"client"; r=${decision.remaining}; t=${Math.ceil((decision.resetsAtMs - Date.now()) / 1000)}`);
      reply.header('RateLimit-Policy', `"client"; q=${LIMIT.limit}; w=60; pk=:MTJjYTE3YjQ5YWYy:`);
      if (decision.allowed) done();
      else reply.code(429).send();
    };
    const decision = allowance.take(request.socket.remoteAddress ?? '');
    if (decision instanceof Promise) decision.then(admit, done);
    else admit(decision);
  });

  app.addHook('onResponse', (request, reply, done) => {
    const ms = performance.now() - request.startedAt;
    const route = request.routeOptions.url ?? 'none';
    duration.observe({ method: request.method, route, status: reply.statusCode }, ms / 1000);
    log.info(
      {
        request_id: request.id,
        method: request.method,
        route,
        status: reply.statusCode,
        duration_ms: Math.round(ms * 1000) / 1000,
        client: request.socket.remoteAddress,
        user_id: request.user_?.id,
      },
      'request',
    );
    done();
  });

  const authenticate = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    const claims = tokens.verify((request.headers.authorization ?? '').slice('Bearer '.length));
    const accept = (user: CachedUser | null): void => {
      if (user === null || !sessionStands(user, claims.sid, claims.ver)) {
        reply.code(401).send();
        return;
      }
      request.user_ = user;
      done();
    };
    const near = users.peek(claims.sub);
    if (near === undefined) users.get(claims.sub).then(accept, done);
    else accept(near);
  };

  function sendUser(request: FastifyRequest, reply: FastifyReply, user: CachedUser): void {
    reply.header('ETag', user.etag).header('Cache-Control', 'private, no-cache');
    if (request.headers['if-none-match'] === user.etag) reply.code(304).send();
    else reply.type('application/json').send(user.body);
  }

  app.get('/api/auth/profile', { onRequest: authenticate }, (request, reply) => sendUser(request, reply, request.user_ as CachedUser));
  app.get<{ Params: { id: string } }>('/api/users/:id', { onRequest: authenticate }, (request, reply) => {
    const self = request.user_ as CachedUser;
    if (request.params.id === self.id) sendUser(request, reply, self);
    else reply.code(403).send();
  });
  await app.listen({ port: settings.port, host: '127.0.0.1' });
}

void main();
