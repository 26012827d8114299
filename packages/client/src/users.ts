import type { Call, Caller, CallResult } from './call.js';
import type { Deadline } from './deadline.js';
import { ClientError, problemOf } from './errors.js';
import { isApplied } from './merge-patch.js';
import type { Body, CallOptions, User } from './types.js';

/** JSON merge patch (RFC 7396): null removes a member, objects are merged. */
export type UserPatch = NonNullable<Body<'PATCH', '/api/users/{id}'>>;
/** Computes the change from the present user; called again when others changed it meanwhile. */
export type UserChange = UserPatch | ((user: User) => UserPatch);

const ROUNDS_MAX = 20;
const template = '/api/users/{id}';

/**
 * Conditional: the change is made to the revision that was read. Others changed it meanwhile: it is
 * read again, and the patch applied to what there is now.
 */
export async function updateUser(
  caller: Caller,
  deadline: Deadline,
  id: string,
  change: UserChange,
  { idempotencyKey: _, ...options }: CallOptions,
): Promise<User> {
  const read = (): Promise<CallResult> =>
    caller.run({ ...options, method: 'GET', template, path: { id } }, deadline);
  const isComputed = typeof change === 'function';
  let isUnknown = false;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { body, etag } = await read();
    const user = body as User;
    const patch = isComputed ? change(user) : change;
    // An earlier attempt had no answer, and has done it.
    if (isUnknown && isApplied(user, patch)) return user;
    const to = { ...options, ...keyOf(change), path: { id } };
    const result = await patched(caller, deadline, to, patch, etag);
    // 204: the client may change the user, and not see it.
    if (result.status === 204) return { ...user, ...patch } as User;
    if (result.status !== 412) return result.body as User;
    isUnknown ||= result.isRepeated && !result.headers.has('idempotent-replayed');
    if (isUnknown && isComputed)
      throw new ClientError('outcome_unknown', 'The change may have been made before others.');
    await deadline.sleep(Math.random() * Math.min(500, 20 * 2 ** round));
  }
  throw new ClientError('contended', `Others changed the user ${ROUNDS_MAX} times meanwhile.`);
}

/** By value, a repeat is seen in the user; of a function's result only the key tells. */
const keyOf = (change: UserChange) =>
  typeof change === 'function' ? { idempotencyKey: crypto.randomUUID() } : {};

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
