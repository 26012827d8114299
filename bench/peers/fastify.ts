import fastifyJwt from '@fastify/jwt';
import bcrypt from 'bcrypt';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import mongoose from 'mongoose';
import { createClient } from 'redis';
import {
  BCRYPT_COST,
  CACHE_SECONDS,
  newUser,
  peerSettings,
  type UserDocument,
  view,
} from './settings';

// (c) Fastify as its users write it: @fastify/jwt with its cache of verified tokens, a Redis GET on
// each request, and the cached JSON sent as it is. No rate limit, no log, no metrics, no ETag, no
// security headers, no revocation.
const settings = peerSettings();
const redis = createClient({
  url: settings.redisUrl,
  ...(settings.redisCommandTimers === false ? { commandOptions: { timeout: 0 } } : {}),
});
const users = mongoose.connection.collection<UserDocument>('users');
const app = Fastify({ logger: false });

type Claims = { sub: string; role: string };
type ById = { Params: { id: string } };

async function sendUser(id: string, reply: FastifyReply): Promise<FastifyReply> {
  const cached = await redis.get(`fastify:user:${id}`);
  if (cached !== null) return reply.type('application/json').send(cached);
  const user = await users.findOne({ _id: new mongoose.Types.ObjectId(id) });
  if (user === null) return reply.code(404).send({ error: 'Not found' });
  const text = JSON.stringify(view(id, user));
  await redis.setEx(`fastify:user:${id}`, CACHE_SECONDS, text);
  return reply.type('application/json').send(text);
}

const authenticate = async (request: FastifyRequest): Promise<void> => {
  await request.jwtVerify();
};

const mayRead = async (request: FastifyRequest<ById>, reply: FastifyReply): Promise<void> => {
  const claims = request.user as Claims;
  if (claims.sub !== request.params.id && claims.role !== 'admin')
    await reply.code(403).send({ error: 'Forbidden' });
};

async function main(): Promise<void> {
  await app.register(fastifyJwt, {
    secret: settings.jwtSecret,
    verify: { cache: 10_000 },
    sign: { expiresIn: '15m' },
  });

  app.get('/api/auth/profile', { onRequest: authenticate }, (request, reply) =>
    sendUser((request.user as Claims).sub, reply),
  );

  app.get<ById>('/api/users/:id', { onRequest: [authenticate, mayRead] }, (request, reply) =>
    sendUser(request.params.id, reply),
  );

  app.get<{ Querystring: { page?: string; limit?: string } }>(
    '/api/users',
    { onRequest: authenticate },
    async (request) => {
      const { page = '1', limit = '20' } = request.query;
      const found = users
        .find()
        .sort({ createdAt: -1 })
        .skip((Number(page) - 1) * Number(limit))
        .limit(Number(limit));
      return { data: (await found.toArray()).map((user) => view(String(user._id), user)) };
    },
  );

  app.patch<ById & { Body: { name: string } }>(
    '/api/users/:id',
    { onRequest: [authenticate, mayRead] },
    async (request, reply) => {
      const { id } = request.params;
      const user = await users.findOneAndUpdate(
        { _id: new mongoose.Types.ObjectId(id) },
        { $set: { name: String(request.body.name), updatedAt: new Date() } },
        { returnDocument: 'after' },
      );
      await redis.del(`fastify:user:${id}`);
      return user === null ? reply.code(404).send({ error: 'Not found' }) : view(id, user);
    },
  );

  app.post<{ Body: { email: string; password: string } }>(
    '/api/auth/login',
    async (request, reply) => {
      const { email, password } = request.body;
      const user = await users.findOne({ emailKey: String(email).toLowerCase() });
      if (user === null || !(await bcrypt.compare(String(password), user.passwordHash))) {
        return reply.code(401).send({ error: 'Invalid credentials' });
      }
      const id = String(user._id);
      return { user: view(id, user), access_token: app.jwt.sign({ sub: id, role: user.role }) };
    },
  );

  app.post<{ Body: { name: string; email: string; password: string } }>(
    '/api/auth/register',
    async (request, reply) => {
      const { name, email, password } = request.body;
      const passwordHash = await bcrypt.hash(String(password), BCRYPT_COST);
      const user = newUser({
        name: String(name),
        email: String(email),
        role: 'user',
        passwordHash,
        at: new Date(),
      });
      const { insertedId } = await users.insertOne(user);
      return reply.code(201).send(view(String(insertedId), user));
    },
  );

  await Promise.all([mongoose.connect(settings.mongodbUri), redis.connect()]);
  await app.listen({ port: settings.port, host: '127.0.0.1' });
}

void main();
