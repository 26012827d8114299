import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { Histogram } from 'prom-client';
import { parseConfig } from '../../src/kernel/config/config';
import { createSecretKeyRing } from '../../src/modules/auth/keys/keys';
import { createTokens } from '../../src/modules/auth/tokens/tokens';
import { type CachedUser, cachedUsers, sessionStands } from '../../src/modules/users/cached';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import { connectCache } from '../../src/platform/cache/connect';
import { createMongoEpochStore, EPOCH_COLLECTION } from '../../src/platform/cache/epoch-store';
import { createMongoCounters } from '../../src/platform/counters/mongo-counters';
import { SECURITY_HEADERS } from '../../src/platform/http/security-headers';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { createQuotaLease, type Decision } from '../../src/platform/rate-limits/quota-lease';
import { createDestination } from '../../src/platform/telemetry/destination';
import { createLogger } from '../../src/platform/telemetry/logger';
import { createMetrics } from '../../src/platform/telemetry/metrics';
import { ISSUER } from '../issuer';
import { peerSettings } from './settings';

// (d) Fastify, optimised, with the features of (e) on these routes and (e)'s modules for tokens,
// cache, limit, log and metrics: the difference between the two is the cost of Express.
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
    PUBLIC_URL: ISSUER,
  });
  const log = createLogger({ level: 'info' }, createDestination()).child({}, { redact: [] });
  const metrics = createMetrics();
  const { connection, clock } = await connectDatabase(settings.mongodbUri, config.database, log);
  const epochStore = createMongoEpochStore(() => connection.collection(EPOCH_COLLECTION));
  const cache = await connectCache({ settings: config.cache, log, metrics, epochStore });
  const users = cachedUsers(
    cache,
    createUserRepository(createUserModel(connection), { timeoutMs: 2000 }).find,
  );
  const quotaLease = createQuotaLease({
    ...LIMIT,
    counters: createMongoCounters(connection, { timeoutMs: 2000, now: clock.now }),
    workers: () => 1,
    now: clock.now,
  });
  const keys = createSecretKeyRing(settings.jwtSecret);
  const tokens = createTokens({
    ...{
      keys,
      issuer: ISSUER,
      audience: config.auth.audience,
      clientId: config.auth.clientId,
      ttlSeconds: 900,
      leewaySeconds: 5,
      now: clock.now,
    },
    cacheMaxEntries: config.auth.tokenCacheMaxEntries,
  });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [metrics],
  });

  const app = Fastify({
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: 'x-request-id',
  });
  app.decorateRequest('startedAt', 0);
  app.decorateRequest('user_', undefined);

  app.addHook('onRequest', (request, reply, done) => {
    request.startedAt = performance.now();
    reply.headers(security);
    reply.header('X-Request-Id', request.id);
    const admit = (decision: Decision) => {
      reply.header(
        'RateLimit',
        `"client"; r=${decision.remaining}; t=${Math.ceil((decision.resetsAtMs - Date.now()) / 1000)}`,
      );
      reply.header('RateLimit-Policy', `"client"; q=${LIMIT.limit}; w=60; pk=:MTJjYTE3YjQ5YWYy:`);
      if (decision.allowed) done();
      else reply.code(429).send();
    };
    const decision = quotaLease.take(request.socket.remoteAddress ?? '');
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

  const authenticate = (
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): void => {
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

  app.get('/api/auth/profile', { onRequest: authenticate }, (request, reply) =>
    sendUser(request, reply, request.user_ as CachedUser),
  );
  app.get<{ Params: { id: string } }>(
    '/api/users/:id',
    { onRequest: authenticate },
    (request, reply) => {
      const self = request.user_ as CachedUser;
      if (request.params.id === self.id) sendUser(request, reply, self);
      else reply.code(403).send();
    },
  );
  await app.listen({ port: settings.port, host: '127.0.0.1' });
}

void main();
