import type { RequestShape } from '../../bench/load/traffic';
import { ADMIN, emailOf, PASSWORD } from './data/users';

/** A seeded user with a session of its own. */
export interface TestUser {
  readonly id: string;
  /** Its number among the seeded users. */
  readonly n: number;
  readonly etag: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export const KIND_NAMES = [
  'profile',
  'user',
  'not-modified',
  'list',
  'list-by-role',
  'search',
  'update',
  'refresh',
  'login',
] as const;
/** Requests of one route and outcome, which cost about the same. */
export type KindName = (typeof KIND_NAMES)[number];

/** Weights of the kinds; they need not add up to anything. */
export type Mix = Readonly<Partial<Record<KindName, number>>>;

export const SCENARIO_NAMES = [
  'read-heavy',
  'refresh-storm',
  'login-storm',
  'mixed',
  'list',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

export const SCENARIOS: Readonly<Record<ScenarioName, Mix>> = {
  'read-heavy': { profile: 60, user: 25, 'not-modified': 15 },
  // After an outage all clients refresh at once, and read with the new token.
  'refresh-storm': { refresh: 80, profile: 20 },
  'login-storm': { login: 50, profile: 50 },
  mixed: {
    profile: 45,
    user: 20,
    'not-modified': 10,
    list: 15,
    update: 6.9,
    refresh: 3,
    login: 0.1,
  },
  list: { list: 50, 'list-by-role': 20, search: 30 },
};

/** What a load process sends of one kind. */
export interface KindTraffic {
  readonly name: KindName;
  readonly weight: number;
  readonly requests: readonly RequestShape[];
  /** Refresh tokens are used up: the answer holds the next one. */
  readonly refreshTokens?: readonly string[];
}

/** `users[0]` is an administrator. */
export function trafficOf(mix: Mix, users: readonly TestUser[]): readonly KindTraffic[] {
  return KIND_NAMES.flatMap((name): KindTraffic[] => {
    const weight = mix[name] ?? 0;
    if (weight === 0) return [];
    if (name === 'refresh')
      return [{ name, weight, requests: [], refreshTokens: users.map((u) => u.refreshToken) }];
    return [{ name, weight, requests: requestsOf(name, users) }];
  });
}

function withPassword(users: readonly TestUser[]): readonly TestUser[] {
  const found = users.filter(({ n }) => n !== ADMIN);
  if (found.length > 0) return found;
  throw new Error('The only seeded user has no password: logins need two (seed, --users).');
}

function requestsOf(
  name: Exclude<KindName, 'refresh'>,
  users: readonly TestUser[],
): readonly RequestShape[] {
  const [admin] = users;
  if (admin === undefined) throw new Error('no seeded users');
  const own = (user: TestUser) => ({ Authorization: `Bearer ${user.accessToken}` });
  const asAdmin = own(admin);
  switch (name) {
    case 'profile':
      return users.map((user) => ({ path: '/api/auth/profile', headers: own(user) }));
    case 'user':
      return users.map((user) => ({ path: `/api/users/${user.id}`, headers: own(user) }));
    case 'not-modified':
      return users.map((user) => ({
        path: `/api/users/${user.id}`,
        headers: { ...own(user), 'If-None-Match': user.etag },
      }));
    case 'list':
      return [{ path: '/api/users?limit=20', headers: asAdmin }];
    case 'list-by-role':
      return [{ path: '/api/users?limit=20&role=user&sort=-created_at', headers: asAdmin }];
    case 'search':
      return users
        .slice(0, 200)
        .map(({ n }) => ({ path: `/api/users?limit=20&q=u${n}`, headers: asAdmin }));
    case 'update':
      return users.map((user) => ({
        method: 'PATCH',
        path: `/api/users/${user.id}`,
        headers: { ...own(user), 'Content-Type': 'application/merge-patch+json' },
        body: { name: `Load Test ${user.n}` },
      }));
    case 'login':
      return withPassword(users).map(({ n }) => ({
        method: 'POST',
        path: '/api/auth/login',
        body: { email: emailOf(n), password: PASSWORD },
      }));
  }
}
