import bcrypt from 'bcrypt';
import {
  ALL_PERMISSIONS,
  createPolicy,
  PERMISSIONS,
  type Permission,
  type Role,
  SCOPES,
} from '../../src/kernel/permissions';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import { startTestService, type TestService } from '../support/app';
import {
  type Answer,
  type Client,
  createClient,
  login,
  PASSWORD,
  uniqueEmail,
} from '../support/http';
import { documentedRows, type PermissionRow, readRow, rowsOf } from '../support/permission-table';

const NOBODY = '0'.repeat(24);

/** A role for each permission alone. */
const roleWith = (permission: Permission): Role => permission.replace(':', '-');
const OWN_ROLES = Object.fromEntries(PERMISSIONS.map((one) => [roleWith(one), [one]]));
const policy = createPolicy(OWN_ROLES);
const passwordHash = bcrypt.hashSync(PASSWORD, 4);

/** Valid bodies, where an invalid one would be refused before the account is looked at. */
const BODIES: Readonly<Record<string, () => object>> = {
  'PUT /api/users/:id': () => ({ name: 'Renamed', email: uniqueEmail() }),
  'PATCH /api/users/:id': () => ({ name: 'Renamed' }),
};
/** So that a stream ends. */
const QUERIES: Readonly<Record<string, string>> = { '/api/events/stream': '?for_seconds=1' };
const FORMS = ['/api/auth/token', '/api/auth/revoke', '/api/auth/introspect'];

type Principal =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'user'; readonly role: Role }
  | { readonly kind: 'service'; readonly scope: Permission; readonly token: string };
type Target = 'itself' | 'a user' | 'an administrator' | 'none';

let service: TestService;
let client: Client;
let services: readonly (Principal & { kind: 'service'; id: string; secret: string })[];

beforeAll(async () => {
  service = await startTestService({
    ROLES: Object.entries(OWN_ROLES)
      .map(([role, some]) => `${role}=${some.join('+')}`)
      .join(','),
    NEAR_CACHE_TTL_MS: '2',
    HASH_QUEUE_MAX: '1000',
  });
  client = createClient(service.baseUrl);
  const admin = await login(client, service.admin.email, service.admin.password);
  services = await Promise.all(SCOPES.map((scope) => serviceWith(scope, admin)));
});
afterAll(() => service?.close());

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
  'content-type': 'application/x-www-form-urlencoded',
});

async function serviceWith(scope: Permission, admin: string) {
  const { json } = await client('POST', '/api/service-accounts', {
    token: admin,
    body: { name: scope, scopes: [scope] },
  });
  const { id, client_secret: secret } = json as { id: string; client_secret: string };
  const granted = await client('POST', '/api/auth/token', {
    raw: 'grant_type=client_credentials',
    headers: basic(id, secret),
  });
  return { kind: 'service', scope, token: String(granted.json.access_token), id, secret } as const;
}

async function account(role: Role): Promise<{ id: string; email: string }> {
  const users = createUserModel(service.database.connection);
  const repository = createUserRepository(users, { timeoutMs: 2000 });
  const [id, email] = [repository.newId(), uniqueEmail(role)];
  await repository.insert({ id, email, name: 'Ada', passwordHash, role }, new Date());
  return { id, email };
}

/** Whose id stands in the path; `itself` needs the actor. */
async function idOf(target: Target, actor: { id: string } | undefined): Promise<string> {
  if (target === 'itself') return String(actor?.id);
  if (target === 'none') return NOBODY;
  return (await account(target === 'a user' ? 'user' : 'admin')).id;
}

function bodyOf({ method, path }: PermissionRow): { body?: object } {
  if (method === 'GET' || method === 'DELETE' || FORMS.includes(path)) return {};
  return { body: BODIES[`${method} ${path}`]?.() ?? {} };
}

interface SignedIn {
  readonly id: string;
  readonly token: string;
}
const actors = new Map<string, Promise<SignedIn>>();

async function signIn(role: Role): Promise<SignedIn> {
  const { id, email } = await account(role);
  return { id, token: await login(client, email, PASSWORD) };
}

/** A new account where a write has ended the session, or the account. */
async function usable(known: Promise<SignedIn>, role: Role): Promise<SignedIn> {
  const { status } = await client('GET', '/api/auth/profile', { token: (await known).token });
  return status === 200 ? known : signIn(role);
}

/**
 * Writes of one row run at the same time: none may end what another one acts with. What is done to
 * the actor itself may end its recent login.
 */
function actorFor(role: Role, { method }: PermissionRow, target: Target): Promise<SignedIn> {
  if (method !== 'GET' && target === 'itself') return signIn(role);
  const key = method === 'GET' ? role : `${role} ${target}`;
  const known = actors.get(key);
  const actor = known === undefined ? signIn(role) : method === 'GET' ? known : usable(known, role);
  actors.set(key, actor);
  return actor;
}

async function send(row: PermissionRow, principal: Principal, target: Target): Promise<Answer> {
  const actor = 'role' in principal ? await actorFor(principal.role, row, target) : undefined;
  const id = await idOf(target, actor);
  const token = actor?.token ?? ('token' in principal ? principal.token : undefined);
  const path = row.path.replace(/:id\b/, id).replace(/:\w+/, NOBODY);
  return client(row.method, `${path}${QUERIES[row.path] ?? ''}`, {
    ...(token === undefined ? {} : { token }),
    ...bodyOf(row),
    // So that an allowed write has no effect: 412.
    headers: row.method === 'GET' ? {} : { 'if-match': '"another"' },
  });
}

function isAllowed(row: PermissionRow, principal: Principal, target: Target): boolean {
  if (row.without === 'everyone') return true;
  if (principal.kind === 'nobody') return false;
  if (row.permission === undefined) return principal.kind === 'user';
  if (row.without === 'the user itself' && target === 'itself') return true;
  const held =
    principal.kind === 'user' ? policy.permissionsOf(principal.role) : new Set([principal.scope]);
  const actsOnAdmin = target === 'an administrator' && row.method !== 'GET';
  return held.has(row.permission) && (!actsOnAdmin || held.size === ALL_PERMISSIONS.size);
}

const REFUSALS: Readonly<Record<Principal['kind'], readonly string[]>> = {
  nobody: ['401 missing_token'],
  user: ['403 forbidden', '403 exceeds_permissions'],
  service: ['403 insufficient_scope', '403 administrators_only'],
};

/** `allowed`, `refused`, or what no caller may see. */
function verdictOf({ status, json, headers }: Answer, principal: Principal, row: PermissionRow) {
  const shown = `${status} ${json?.code}`;
  if (status >= 500) return shown;
  if (status !== 401 && status !== 403) return 'allowed';
  if (row.without === 'everyone') return json?.code === 'missing_token' ? shown : 'allowed';
  if (!REFUSALS[principal.kind].includes(shown)) return shown;
  const { permission } = row;
  if (shown === '403 forbidden' && !String(json.detail).includes(String(permission)))
    return `a refusal that does not name ${permission}`;
  const challenge = headers.get('www-authenticate') ?? '';
  const isScope = (SCOPES as readonly unknown[]).includes(permission);
  if (shown === '403 insufficient_scope' && isScope !== challenge.includes(`scope="${permission}"`))
    return `the challenge ${challenge}`;
  return 'refused';
}

const principals = (): readonly Principal[] => [
  { kind: 'nobody' },
  ...policy.roles.map((role) => ({ kind: 'user', role }) as const),
  ...services,
];
const targetsOf = ({ path }: PermissionRow, { kind }: Principal): readonly Target[] => {
  if (!path.startsWith('/api/users/:id')) return ['none'];
  return [...(kind === 'user' ? (['itself'] as const) : []), 'a user', 'an administrator'];
};

test('the table in docs/permissions.md has exactly the operations of the API', async () => {
  const { json } = await client('GET', '/openapi.json');
  expect(documentedRows().toSorted()).toEqual(rowsOf(json).toSorted());
});

const rows = documentedRows().map(readRow);
const isForClients = ({ permission }: PermissionRow) => permission === 'tokens:introspect';

/** How the answer differs from the row; undefined where it does not. */
async function faultOf(row: PermissionRow, principal: Principal, target: Target) {
  const verdict = verdictOf(await send(row, principal, target), principal, row);
  const expected = isAllowed(row, principal, target) ? 'allowed' : 'refused';
  const name = 'role' in principal ? principal.role : 'scope' in principal && principal.scope;
  return verdict === expected
    ? undefined
    : `${principal.kind} ${name} on ${target}: ${verdict}, not ${expected}`;
}

test.each(
  rows
    .filter((row) => !isForClients(row))
    .map((row) => [`${row.method} ${row.path}`, row] as const),
)('%s: each role and each scope alone may do what the table says', async (_name, row) => {
  const asked = row.without === 'everyone' ? principals().slice(0, 1) : principals();
  const faults = await Promise.all(
    asked.flatMap((principal) =>
      targetsOf(row, principal).map((target) => faultOf(row, principal, target)),
    ),
  );
  expect(faults.filter((one) => one !== undefined)).toEqual([]);
  expect(faults.length).toBeGreaterThanOrEqual(asked.length);
});

test('introspection is for service accounts with its scope', async () => {
  expect(rows.filter(isForClients).map(({ path }) => path)).toEqual(['/api/auth/introspect']);
  for (const { id, secret, scope } of services) {
    const headers = basic(id, secret);
    const { status } = await client('POST', '/api/auth/introspect', { raw: 'token=x', headers });
    expect([scope, status]).toEqual([scope, scope === 'tokens:introspect' ? 200 : 401]);
  }
});
