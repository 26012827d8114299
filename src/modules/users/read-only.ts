import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { type FieldError, problems } from '../../kernel/errors';
import { type PrivateView, type UserView, userDetails } from './view';

/**
 * The members that a request may change; every other member of the view is read-only, also those
 * that come later.
 */
const CHANGEABLE = [
  ...(['name', 'email', 'role'] as const),
  ...(['external_id', 'user_metadata', 'app_metadata', 'private_metadata'] as const),
] as const;
type Changeable = (typeof CHANGEABLE)[number];
type Shape = Omit<typeof userDetails.shape, Changeable>;

/** Read-only members, allowed in a body: an answer of GET can be sent back as it is. */
export const readOnlyMembers = Object.fromEntries(
  Object.entries(userDetails.shape)
    .filter(([name]) => !CHANGEABLE.some((one) => one === name))
    .map(([name, schema]) => [name, schema.optional().meta({ readOnly: true })]),
) as { readonly [K in keyof Shape]: z.ZodOptional<Shape[K]> };

/** The user as the sender of a request can see it. */
export type Seen = UserView & Partial<PrivateView>;

export type Stated = { readonly [K in keyof Omit<Seen, Changeable>]?: Seen[K] | undefined };

/**
 * Throws 422 for each read-only member that is sent and is not what the user has. `present`:
 * undefined for a sender that may not read the user: whether a value is right would tell it.
 */
export function assertUnchanged(stated: Stated, present: Seen | undefined): void {
  const errors = Object.entries(stated)
    .filter(([name, value]) => value !== undefined && !isPresent(name as keyof Stated, value))
    .map(
      ([name]): FieldError => ({
        pointer: `/${name}`,
        code: 'read_only',
        message:
          present === undefined
            ? 'cannot be changed: leave it out'
            : 'cannot be changed: leave it out, or send what the user has',
      }),
    );
  if (errors.length > 0) throw problems.invalid(errors);

  function isPresent(name: keyof Stated, value: unknown): boolean {
    if (present === undefined) return false;
    // A login that came after the read must not make the write fail.
    if (name === 'last_login_at') return String(value ?? '') <= (present.last_login_at ?? '');
    return isDeepStrictEqual(value, present[name]);
  }
}
