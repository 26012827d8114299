import type { Call, Caller, CallResult } from './call.js';
import type { Deadline } from './deadline.js';
import { ClientError, problemOf } from './errors.js';
import { isApplied, isObject, isSameWhere, mergePatch } from './merge-patch.js';
import type { Body, CallOptions, User } from './types.js';

/** JSON merge patch (RFC 7396): null removes a member, objects are merged. */
export type UserPatch = NonNullable<Body<'PATCH', '/api/users/{id}'>>;
/** Computes the change from the present user; called again when others changed it meanwhile. */
export type UserChange = UserPatch | ((user: User) => UserPatch);

const ROUNDS_MAX = 20;
const template = '/api/users/{id}';

/**
 * Conditional: the change is made to the revision that was read. Others changed it meanwhile: it is
 * read again, and the patch applied to the present state.
 */
export async function updateUser(
  caller: Caller,
  deadline: Deadline,
  id: string,
  change: UserChange,
  // One key for each revision: the answer to a key is that to its first request, also a 412.
  { idempotencyKey: _, ...options }: CallOptions,
): Promise<User> {
  const read = (): Promise<CallResult> =>
    caller.run({ ...options, method: 'GET', template, path: { id } }, deadline);
  const isComputed = typeof change === 'function';
  /** The user to whom the change may have been made: no answer came, nor one to its key. */
  let doubted: User | undefined;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { body, etag } = await read();
    const user = body as User;
    const patch = isComputed ? change(user) : change;
    if (!isSettled(doubted, user, patch)) throw outcomeUnknown();
    const to = { ...options, path: { id } };
    const result = await patched(caller, deadline, to, patch, etag);
    // 204: the client may change the user, and not see it.
    if (result.status === 204) return shownAfter(user, patch);
    if (result.status !== 412) return result.body as User;
    if (result.isRepeated && !result.headers.has('idempotent-replayed')) {
      if (isComputed) throw outcomeUnknown();
      doubted ??= user;
    }
    await deadline.sleep(Math.random() * Math.min(500, 20 * 2 ** round));
  }
  throw new ClientError('contended', `Others changed the user ${ROUNDS_MAX} times meanwhile.`);
}

/**
 * Whether applying a patch takes nothing back that may have been applied to `before`: it is there,
 * so that the service has only to confirm it; or nobody has changed what it is about.
 */
const isSettled = (before: User | undefined, now: User, patch: UserPatch): boolean =>
  before === undefined ||
  // Of a member that is not shown to this client nothing is known.
  (Object.keys(patch).every((name) => name in now) &&
    (isApplied(now, patch) || isSameWhere(patch, before, now)));

/** Of what a patch removes, the service shows null or an empty object. */
function shownAfter(user: User, patch: UserPatch): User {
  const emptied = Object.entries(user).map(([name, value]) => [name, isObject(value) ? {} : null]);
  return { ...Object.fromEntries(emptied), ...mergePatch(user, patch) } as User;
}

const outcomeUnknown = () =>
  new ClientError('outcome_unknown', 'The change may have been made before others.');

async function patched(
  caller: Caller,
  deadline: Deadline,
  options: CallOptions & Pick<Call, 'path'>,
  patch: UserPatch,
  etag: string | undefined,
): Promise<CallResult> {
  const call: Call = {
    ...options,
    ...{ method: 'PATCH', template, body: patch },
    headers: { ...options.headers, ...(etag === undefined ? {} : { 'if-match': etag }) },
  };
  const result = await caller.run(call, deadline, [412]);
  if (result.status === 412 && etag === undefined)
    throw problemOf(412, JSON.stringify(result.body), result.headers);
  if (result.status === 200) caller.remember(caller.urlOf(call), result);
  return result;
}
