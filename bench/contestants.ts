import { createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { childEnvironment } from '../src/kernel/config/config';
import type { Role } from '../src/kernel/permissions';
import { createSecretKeyRing } from '../src/modules/auth/keys/keys';
import { createTokens } from '../src/modules/auth/tokens/tokens';
import { ISSUER } from './issuer';
import { BCRYPT_COST, type PeerSettings } from './peers/settings';
import type { Runtime } from './runtimes';

export interface Subject {
  readonly id: string;
  readonly role: Role;
}

interface Launch {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface Contestant {
  readonly id: string;
  readonly letter: string;
  readonly title: string;
  launch(settings: PeerSettings, workers: number, env: Readonly<Record<string, string>>): Launch;
  /** A path that answers (with any status) once the contestant serves. */
  readonly readyPath: string;
  token(subject: Subject): string;
  /** The first major version of Node that it supports. */
  readonly since?: number;
}

/** Long enough for every contestant's rules, and made for this run only. */
export const JWT_SECRET = 'bench-5Wc1yJw0mQ8zVx7uKf3dLr9tGh2nPb6sEa4o';
const key: KeyObject = createSecretKey(Buffer.from(JWT_SECRET));

function peer(id: string, letter: string, title: string): Contestant {
  return {
    id,
    letter,
    title,
    readyPath: '/',
    launch: (settings) => ({
      args: [join(__dirname, 'peers', `${id}.js`), JSON.stringify(settings)],
      env: childEnvironment({ NODE_ENV: 'production' }),
    }),
    token: ({ id: sub, role }) => jwt.sign({ sub, role }, key, { expiresIn: '4h' }),
  };
}

export const bare = peer('bare', 'a', 'node:http, constant answer');
export const seed = peer('seed', 'b', 'Express as in tutorials');
export const fastify = peer('fastify', 'c', 'Fastify, JWT cache, Redis GET');

/**
 * By default, node-redis bounds each command with an AbortSignal of 5 s, which is expensive and
 * little known.
 */
const fastifyLean: Contestant = {
  ...fastify,
  id: 'fastify-lean',
  letter: 'c′',
  title: '(c) without command timers',
  launch: (settings, workers, env) =>
    fastify.launch({ ...settings, redisCommandTimers: false }, workers, env),
};

export const expressPlain: Contestant = {
  ...peer('express', '', 'empty Express app'),
  id: 'express-plain',
};
export const expressFast: Contestant = {
  ...expressPlain,
  id: 'express-fast',
  launch: (settings, workers, env) =>
    expressPlain.launch({ ...settings, constructors: true }, workers, env),
};

function sharedPort(sharing: NonNullable<PeerSettings['sharing']>, title: string): Contestant {
  const base = peer('shared-port', '', title);
  return {
    ...base,
    id: `bare-${sharing}`,
    launch: (settings, workers, env) =>
      base.launch({ ...settings, sharing, workers }, workers, env),
  };
}

/** Node's own ways for workers to share a port, each with a bare server behind it. */
export const sharedPorts: readonly Contestant[] = [
  sharedPort('round-robin', "bare, Node's round robin"),
  sharedPort('one-socket', 'bare, one listening socket for all'),
  { ...sharedPort('reuse-port', 'bare, SO_REUSEPORT'), since: 24 },
];

/** Longer than a question takes. */
const TOKEN_SECONDS = 4 * 3600;

const tokens = createTokens({
  keys: createSecretKeyRing(JWT_SECRET),
  issuer: ISSUER,
  audience: 'api',
  clientId: 'first-party',
  ttlSeconds: TOKEN_SECONDS,
  leewaySeconds: 5,
  cacheMaxEntries: 0,
  now: Date.now,
});
const subjectOf = ({ id, role }: Subject) =>
  ({ id, role, sessionVersion: 0, emailVerified: true }) as const;
const accessToken = (subject: Subject) => tokens.issue(subjectOf(subject), randomUUID()).token;

/** Of a session that was opened with a second factor. */
export const steppedUpToken = (subject: Subject): string =>
  tokens.issue(subjectOf(subject), randomUUID(), {
    signedInAt: new Date(),
    amr: ['pwd', 'otp', 'mfa'],
    until: new Date(Date.now() + TOKEN_SECONDS * 1000),
  }).token;

/** (d) This service's modules under Fastify: its difference to (e) is the cost of Express. */
const tuned = {
  ...peer('tuned', 'd', 'Fastify, tuned, same features'),
  token: accessToken,
};

export const ours: Contestant = {
  id: 'ours',
  letter: 'e',
  title: 'this service, as shipped',
  readyPath: '/readyz',
  launch: ({ port, opsPort, mongodbUri, redisUrl, jwtSecret }, workers, env) => ({
    args: [join(__dirname, '..', 'main.js')],
    env: childEnvironment({
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      OPS_PORT: String(opsPort),
      WORKERS: String(workers),
      MONGODB_URI: mongodbUri,
      REDIS_URL: redisUrl,
      JWT_SECRET: jwtSecret,
      PUBLIC_URL: ISSUER,
      TOKEN_ISSUER: ISSUER,
      BCRYPT_COST: String(BCRYPT_COST),
      // The limiter runs and counts, but never refuses.
      RATE_LIMIT_PER_CLIENT: '100000000',
      AUTH_RATE_LIMIT_PER_CLIENT: '1000000',
      ...env,
    }),
  }),
  token: accessToken,
};

export const everyone: readonly Contestant[] = [bare, seed, fastify, fastifyLean, tuned, ours];

/** The one name of a contestant in all output. */
export const nameOf = ({ id, letter }: Pick<Contestant, 'id' | 'letter'>): string =>
  letter === '' ? id : `(${letter}) ${id}`;

/** By the id that figures keep; variants of one question have no letter. */
export const nameOfId = (id: string): string =>
  nameOf(everyone.find((one) => one.id === id) ?? { id, letter: '' });

/** A contestant and the Node that it runs under. */
export interface Target {
  readonly contestant: Contestant;
  readonly runtime: Runtime;
}
