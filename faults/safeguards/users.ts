import type { Safeguard } from './safeguard';

const DECISIONS = 'modules/users/decisions';
const PAGING = 'modules/users/search/paging';
const JOBS = 'platform/jobs/jobs';

const users: readonly Safeguard[] = [
  {
    name: 'revision-in-the-write',
    title: 'An update is lost, because a write names no revision',
    file: 'modules/users/snapshot',
    code: '_id: id, rev, role,',
    without: '_id: id, role,',
    test: 'modules/users/lost-update',
    named: 'fault "lost update"',
  },
  {
    name: 'role-in-the-write',
    title: 'A service account changes a user who has become an administrator',
    file: 'modules/users/snapshot',
    code: '_id: id, rev, role, status,',
    without: '_id: id,',
    test: DECISIONS,
    named: 'a service account changes and removes nobody whose promotion came between',
  },
  {
    name: 'last-administrator',
    title: 'No administrator is left',
    file: 'modules/users/writes',
    code: 'keepingAnAdmin(seen.id, commit) : commit; }, async unchanged(',
    without: 'commit : commit; }, async unchanged(',
    test: 'modules/users/administration/last-admin',
    named: 'whatever two hosts do to the administrators at once',
  },
  {
    name: 'late-write-refused',
    title: 'A write takes effect after its caller was told that it failed',
    file: 'modules/users/snapshot',
    code: 'seen.readAt.getTime() + nowMs - seen.seenMs + timeoutMs',
    without: 'seen.readAt.getTime() + 600_000',
    test: 'modules/users/late-writes',
    named: 'does not take effect when it arrives',
  },
  {
    name: 'foreign-hash-replaced',
    title: 'The hash of another system is compared, and stays',
    file: 'modules/auth/passwords/passwords',
    code: 'needsRehash: (hash, password) =>',
    without: 'needsRehash: (hash, password) => hash === password &&',
    test: 'modules/auth/sign-in/foreign-hashes',
    named: 'is compared and then rehashed',
  },
  {
    name: 'pages-by-key',
    title: 'A page begins at a number of rows (offset paging)',
    file: 'modules/users/search/list',
    code: 'const { filter, ...options } = plan.find(position, roles);',
    without: `
      const { filter, ...options } = plan.find(undefined, roles);
      globalThis.rowsRead = position === undefined ? 0 : globalThis.rowsRead;
      options.skip = globalThis.rowsRead;
      globalThis.rowsRead += limit;`,
    test: PAGING,
    named: 'faults "offset paging"',
  },
  {
    name: 'tie-break',
    title: 'Users that are equal in the order are skipped (missing tie-break)',
    file: 'modules/users/search/query',
    code: 'const limit = range[kept] === undefined ? {} : { [kept]: range[kept] };',
    without: 'return [{ [key]: { [strict]: at } }]; const limit = {};',
    test: PAGING,
    named: 'faults "offset paging"',
  },
];

const jobs: readonly Safeguard[] = [
  {
    name: 'fenced-lease',
    title: 'A process writes after its lease was taken over',
    file: 'platform/jobs/job-store',
    code: "fence, state: 'running' }",
    without: 'state: { $exists: true } }',
    test: JOBS,
    named: 'fault "lease without fencing" no write of a former holder',
  },
  {
    name: 'resumed-job',
    title: 'A job begins again after the death of its process',
    file: 'platform/jobs/job-store',
    code: "set = { state: 'running',",
    without: "set = { checkpoint: 0, state: 'running',",
    test: JOBS,
    named: 'fault "job without resume" each part is done once',
  },
];

const doors: readonly Safeguard[] = [
  {
    name: 'only-failures-count',
    title: 'Right passwords lock their account',
    file: 'modules/auth/login-guard',
    code: 'if (isRight || spent !== undefined) await release(reservations);',
    without: 'if (spent !== undefined) await release(reservations);',
    test: 'modules/auth/sign-in/login',
    named: 'successful logins are not counted',
  },
  {
    name: 'refresh-token-reuse',
    title: 'A used refresh token is answered after the grace window',
    file: 'modules/auth/sessions/refresh-session',
    code: 'one.hash === hash && one.until > row.readAt',
    without: 'one.hash === hash',
    test: 'modules/auth/sessions/sessions',
    named: 'reuse after the grace window ends the session',
  },
  {
    name: 'key-of-one-session',
    title: 'An Idempotency-Key of one session is answered in another',
    file: 'platform/http/idempotency',
    code: 'principal.idempotencyScope',
    without: 'principal.userId',
    test: 'platform/http/idempotency',
    named: 'keys are separate per session of a user',
  },
  {
    name: 'webhook-target',
    title: 'A webhook reaches the private network',
    file: 'modules/webhooks/guarded-lookup',
    code: 'if (family === 0) return false;',
    without: 'if (family !== 0) return true;',
    test: 'modules/webhooks/attempt',
    named: 'no request reaches',
  },
];

export const userSafeguards = [...users, ...jobs, ...doors];
