import { z } from 'zod';
import type { UserDocument } from './model';
import { ROLES } from './roles';

/** A user as clients see it, and never anything else. */
export const userView = z
  .object({
    id: z.string().regex(/^[0-9a-f]{24}$/),
    name: z.string(),
    email: z.string(),
    role: z.enum(ROLES),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'User' });

export type UserView = z.output<typeof userView>;

export type ViewedFields = Pick<UserDocument, '_id' | 'name' | 'email' | 'role' | 'createdAt' | 'updatedAt'>;

/** What to read from the database for a view: an allow-list. */
export const VIEW_PROJECTION = { _id: 1, name: 1, email: 1, role: 1, createdAt: 1, updatedAt: 1 } as const;

export function viewOf(user: ViewedFields): UserView {
  return {
    id: user._id.toHexString(),
    name: user.name,
    email: user.email,
    role: user.role,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  };
}

/**
 * Of one user's revision: the same address (`me`, `profile`) is another user's for another token, and what a browser has kept
 * of the one must not be confirmed (304) to the other.
 */
export const etagOf = (id: string, rev: number): string => `"${id}.${rev}"`;
