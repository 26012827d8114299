import { setTimeout as pause } from 'node:timers/promises';
import { FACTOR_WORKLOADS } from './factor-workloads';
import { PASSKEY_WORKLOADS } from './passkeys';
import type { Request, Workload } from './workload';
import { send, type World } from './world';

const plain: Workload = () => ({});
const asAdmin = ({ admin }: World) => ({ token: admin.token });
const asUser: Workload = async (world) => ({ token: (await world.signIn()).token });
const ofUser =
  (after = '', more: Omit<Request, 'at'> = {}): Workload =>
  (world) => ({ ...asAdmin(world), at: `/api/users/${world.next().id}${after}`, ...more });
const NEW_PASSWORD = 'a better horse battery staple';

/** For requests that end an account, or need one without a password. */
async function newUser(
  world: World,
  more: object = { password: NEW_PASSWORD },
): Promise<{ id: string; email: string }> {
  const email = `made${world.count()}.${world.users}@bench.example`;
  const body = { name: 'Made', email, ...more };
  return world.call({
    ...{ method: 'POST', path: '/api/users', token: world.admin.token, body },
  });
}

async function newIds(world: World, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push((await newUser(world)).id);
  return ids;
}

const list =
  (query: (world: World) => string): Workload =>
  (world) => ({ ...asAdmin(world), at: `/api/users?${query(world)}` });

const USERS_LIST: Record<string, Workload> = {
  usual: list(() => 'limit=20'),
  'by name': list(() => 'limit=20&sort=name'),
  'one role': list(() => 'limit=20&role=admin'),
  verified: list(() => 'limit=20&email_verified=true'),
  search: list(({ next }) => `limit=20&q=${next().email.slice(0, 6)}`),
  'by e-mail': list(({ next }) => `email=${encodeURIComponent(next().email)}`),
  counted: list(() => 'limit=20&count=true'),
};

const asClient = ({ serviceAccount: { id, secret } }: World) => ({
  ...{ client_id: id, client_secret: secret },
});

const mailed =
  (purpose: Parameters<World['mailedToken']>[0], rest: object): Workload =>
  async (world) => ({
    body: { token: await world.mailedToken(purpose, world.next()), ...rest },
  });

/** One refused record, so that there is a report. */
const importOf = (world: World) => ({
  ...{ ...asAdmin(world), at: '/api/users/import?dry_run=true', body: '{"name":"No address"}\n' },
});

async function endedJob(world: World): Promise<string> {
  const { at: path, ...rest } = importOf(world);
  const { id } = await world.call<{ id: string }>({ method: 'POST', path, ...rest });
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const call = { method: 'GET', path: `/api/jobs/${id}`, token: world.admin.token };
    const { state } = await world.call<{ state: string }>(call);
    if (state === 'done') return id;
    await pause(50);
  }
  throw new Error(`the job ${id} has not ended`);
}

const ofJob =
  (after: string): Workload =>
  async (world) => ({ ...asAdmin(world), at: `/api/jobs/${await endedJob(world)}${after}` });

/** There is a limit on service accounts. */
async function removeMade({ call, admin: { token } }: World): Promise<void> {
  const path = '/api/service-accounts';
  const { data } = await call<{ data: { id: string; name: string }[] }>({
    ...{ method: 'GET', path, token },
  });
  for (const { id, name } of data)
    if (name === 'Made') await call({ method: 'DELETE', path: `${path}/${id}`, token });
}

/**
 * How each route is asked, by its name in /openapi.json. A route needs at least `usual`; a workload
 * makes what the request needs, which is not measured.
 */
export const WORKLOADS: Readonly<Record<string, Readonly<Record<string, Workload>>>> = {
  'GET /.well-known/jwks.json': { usual: plain },
  'GET /.well-known/oauth-authorization-server': { usual: plain },
  'POST /api/auth/register': {
    usual: (world) => ({
      body: {
        ...{ name: 'New', password: NEW_PASSWORD },
        email: `new${world.count()}.${world.users}@bench.example`,
      },
    }),
  },
  'POST /api/auth/login': {
    usual: (world) => ({ body: { email: world.next().email, password: world.password } }),
  },
  'POST /api/auth/password/required': {
    usual: async (world) => {
      const { id, email } = await newUser(world);
      const path = `/api/users/${id}/require-password-change`;
      await world.call({ method: 'POST', path, token: world.admin.token, body: {} });
      const { text } = await send(world.url, {
        ...{ method: 'POST', path: '/api/auth/login', body: { email, password: NEW_PASSWORD } },
      });
      const { password_change_token: token } = JSON.parse(text);
      return { body: { token, new_password: world.password } };
    },
  },
  'POST /api/auth/refresh': {
    usual: async (world) => ({ body: { refresh_token: (await world.signIn()).refreshToken } }),
  },
  'POST /api/auth/logout': { usual: asUser },
  'GET /api/auth/profile': { usual: asUser },
  'PATCH /api/auth/password': {
    usual: async (world) => ({
      token: (await world.signIn()).token,
      body: { current_password: world.password, new_password: NEW_PASSWORD },
    }),
  },
  'GET /api/auth/sessions': { usual: asUser },
  'DELETE /api/auth/sessions/{id}': {
    usual: async (world) => {
      const user = await world.signIn();
      const other = await world.signIn(user);
      const { data } = await world.call<{ data: { id: string; current: boolean }[] }>({
        ...{ method: 'GET', path: '/api/auth/sessions', token: other.token },
      });
      const id = data.find(({ current }) => !current)?.id;
      return { token: other.token, at: `/api/auth/sessions/${id}` };
    },
  },
  ...FACTOR_WORKLOADS,
  'POST /api/auth/email-sign-in': { usual: (world) => ({ body: { email: world.next().email } }) },
  'POST /api/auth/email-sign-in/verify': {
    usual: async (world) => {
      const { token, code } = await world.pendingSignIn(world.next());
      return { body: { sign_in_token: token, code } };
    },
  },
  'GET /api/auth/oidc': { usual: plain },
  'POST /api/auth/oidc/token': {
    usual: async (world) => {
      const verifier = 'v'.repeat(43);
      const code = await world.providerCode(world.next(), verifier);
      return { body: { code, code_verifier: verifier } };
    },
  },
  'GET /api/auth/identities': { usual: asUser },
  'DELETE /api/auth/identities/{id}': {
    usual: async (world) => {
      const { id, token } = await world.signIn();
      return { token, at: `/api/auth/identities/${await world.identity(id)}` };
    },
  },
  ...PASSKEY_WORKLOADS,
  'POST /api/auth/password/forgot': { usual: (world) => ({ body: { email: world.next().email } }) },
  'POST /api/auth/password/reset': {
    usual: mailed('reset-password', { new_password: NEW_PASSWORD }),
  },
  'POST /api/auth/invitation/accept': {
    usual: async (world) => {
      const token = await world.mailedToken('invitation', await newUser(world, {}));
      return { body: { token, password: NEW_PASSWORD } };
    },
  },
  'POST /api/auth/email/verification': { usual: asUser },
  'POST /api/auth/email/change': {
    usual: async (world) => ({
      token: (await world.signIn()).token,
      body: {
        new_email: `moved${world.count()}.${world.users}@bench.example`,
        current_password: world.password,
      },
    }),
  },
  'POST /api/auth/email/verify': {
    usual: (world) => mailed('verify-email', { current_password: world.password })(world),
  },
  'POST /api/auth/token': {
    usual: (world) => ({ form: { grant_type: 'client_credentials', ...asClient(world) } }),
    refresh: async (world) => ({
      form: { grant_type: 'refresh_token', refresh_token: (await world.signIn()).refreshToken },
    }),
  },
  'POST /api/auth/revoke': {
    usual: async (world) => ({ form: { token: (await world.signIn()).refreshToken } }),
  },
  'POST /api/auth/introspect': {
    usual: async (world) => ({
      form: { token: (await world.signIn()).token, ...asClient(world) },
    }),
  },
  'GET /.well-known/ssf-configuration': { usual: plain },
  'GET /api/auth/security-events': { usual: (world) => asAdmin(world) },
  'POST /api/auth/security-events': {
    usual: (world) => ({ ...asAdmin(world), body: { returnImmediately: true } }),
  },
  'GET /api/auth/revocations': {
    usual: (world) => ({ ...asAdmin(world), at: '/api/auth/revocations?limit=20' }),
  },
  'GET /api/users': USERS_LIST,
  'POST /api/users': {
    usual: (world) => ({
      ...asAdmin(world),
      body: {
        ...{ name: 'Another', password: NEW_PASSWORD },
        email: `another${world.count()}.${world.users}@bench.example`,
      },
    }),
  },
  'GET /api/users/{id}': { usual: ofUser() },
  'PUT /api/users/{id}': {
    usual: (world) => {
      const { id, email } = world.next();
      return { ...asAdmin(world), at: `/api/users/${id}`, body: { name: 'Put', email } };
    },
  },
  'PATCH /api/users/{id}': { usual: ofUser('', { body: { name: 'Patched' } }) },
  'DELETE /api/users/{id}': {
    usual: async (world) => ({
      ...{ ...asAdmin(world), at: `/api/users/${(await newUser(world)).id}` },
    }),
  },
  'GET /api/users/me/export': { usual: asUser },
  'POST /api/users/delete': {
    usual: async (world) => ({ ...asAdmin(world), body: { ids: await newIds(world, 3) } }),
  },
  'POST /api/users/ban': {
    usual: (world) => {
      const ids = Array.from({ length: 3 }, () => world.next().id);
      return { ...asAdmin(world), body: { ids, reason: 'bench' } };
    },
  },
  'POST /api/users/{id}/ban': { usual: ofUser('/ban', { body: { reason: 'bench' } }) },
  'POST /api/users/{id}/unban': {
    usual: async (world) => {
      const path = `/api/users/${(await newUser(world)).id}`;
      const { token } = world.admin;
      await world.call({ method: 'POST', path: `${path}/ban`, token, body: {} });
      return { token, at: `${path}/unban` };
    },
  },
  'POST /api/users/{id}/require-password-change': {
    usual: ofUser('/require-password-change', { body: {} }),
  },
  'GET /api/users/{id}/sessions': { usual: ofUser('/sessions') },
  'DELETE /api/users/{id}/sessions': { usual: ofUser('/sessions') },
  'DELETE /api/users/{id}/sessions/{sessionId}': {
    usual: async (world) => {
      const { id } = await world.signIn();
      const { data } = await world.call<{ data: { id: string }[] }>({
        ...{ method: 'GET', path: `/api/users/${id}/sessions`, token: world.admin.token },
      });
      return { ...asAdmin(world), at: `/api/users/${id}/sessions/${data[0]?.id}` };
    },
  },
  'POST /api/users/{id}/send-password-reset': { usual: ofUser('/send-password-reset') },
  'POST /api/users/{id}/invite': {
    usual: async (world) => ({
      ...{ ...asAdmin(world), at: `/api/users/${(await newUser(world, {})).id}/invite` },
    }),
  },
  'POST /api/users/import': {
    usual: async (world) => {
      // Jobs run in their order: the one before has ended then.
      await endedJob(world);
      return importOf(world);
    },
  },
  'GET /api/jobs/{id}': { usual: ofJob('') },
  'POST /api/jobs/{id}/cancel': { usual: ofJob('/cancel') },
  'GET /api/jobs/{id}/events': { usual: ofJob('/events') },
  'GET /api/jobs/{id}/report': { usual: ofJob('/report') },
  'GET /api/service-accounts': { usual: asAdmin },
  'POST /api/service-accounts': {
    usual: async (world) => {
      await removeMade(world);
      return { ...asAdmin(world), body: { name: 'Made', scopes: ['users:read'] } };
    },
  },
  'DELETE /api/service-accounts/{id}': {
    usual: async (world) => {
      const { id } = await world.call<{ id: string }>({
        ...{ method: 'POST', path: '/api/service-accounts', token: world.admin.token },
        body: { name: 'Removed', scopes: ['users:read'] },
      });
      return { ...asAdmin(world), at: `/api/service-accounts/${id}` };
    },
  },
  'GET /api/events': { usual: asAdmin },
  'GET /api/webhooks': { usual: asAdmin },
  'GET /api/audit-events': {
    usual: asAdmin,
    'of one user': (world) => ({
      ...{ ...asAdmin(world), at: `/api/audit-events?subject=${world.next().id}` },
    }),
  },
};

/** Routes that are not measured, and the reason. */
export const UNMEASURED: Readonly<Record<string, string>> = {
  'GET /api/users/export': 'reads every user by design',
  'GET /api/events/stream': 'stays open by design',
  'POST /api/webhooks': 'there are at most 50',
  'GET /api/webhooks/{id}': 'as the list, of one',
  'PATCH /api/webhooks/{id}': 'as the list, of one',
  'DELETE /api/webhooks/{id}': 'as the list, of one',
  'POST /api/webhooks/{id}/secret': 'as the list, of one',
  'POST /api/webhooks/{id}/test': 'waits for the receiver',
  'GET /api/webhooks/{id}/deliveries': 'by the index of its webhook',
  'POST /api/webhooks/{id}/redeliver': 'by the index of its webhook',
  'GET /api/auth/oidc/{provider}/start': 'needs a provider',
  'GET /api/auth/oidc/{provider}/callback': 'needs a provider',
  'POST /api/auth/identities/{provider}/link': 'needs a provider',
  'POST /api/auth/identities': 'needs a provider',
};
