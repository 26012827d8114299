import { createSecretKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { childEnvironment } from '../src/config';
import type { PeerSettings } from './peers/settings';
import type { Runtime } from './runtimes';

export interface Subject {
  readonly id: string;
  readonly role: string;
}

export interface Launch {
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

export interface Target {
  readonly contestant: Contestant;
  readonly runtime: Runtime;
}
