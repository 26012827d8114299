import type { Role } from '../../../kernel/permissions';
import { isBanOver } from '../bans';
import type { UserModel } from '../model';
import type { UserRepository } from '../repository';

/** A user as operators see it. */
export interface UserSummary {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly status: 'active' | 'banned';
}

/** Reads of operators, past every cache. */
export interface UserAdministration {
  /** The oldest first. */
  list(options: { role?: Role | undefined; limit: number }): Promise<UserSummary[]>;
  find(by: { email: string } | { id: string }): Promise<UserSummary | null>;
}

const SUMMARY = {
  ...{ name: 1, email: 1, role: 1, status: 1, bannedUntil: 1 },
  readAt: '$$NOW',
} as const;

export function createUserAdministration(
  model: UserModel,
  repository: UserRepository,
  { timeoutMs }: { timeoutMs: number },
): UserAdministration {
  const bounded = { maxTimeMS: timeoutMs };
  return {
    async list({ role, limit }) {
      const rows = await model
        .find(role === undefined ? {} : { role }, SUMMARY, bounded)
        .sort({ createdAt: 1, _id: 1 })
        .limit(limit)
        .lean<Row[]>();
      return rows.map(summaryOf);
    },
    async find(by) {
      const id = 'id' in by ? by.id : (await repository.credentialsByEmail(by.email))?.id;
      if (id === undefined) return null;
      const found = await model.findById(id, SUMMARY, bounded).lean<Row | null>();
      return found === null ? null : summaryOf(found);
    },
  };
}

type Row = Omit<UserSummary, 'id'> & {
  readonly _id: { toHexString(): string };
  readonly bannedUntil?: Date;
  readonly readAt: Date;
};

const summaryOf = ({ _id, name, email, role, readAt, ...row }: Row): UserSummary => ({
  id: _id.toHexString(),
  name,
  email,
  role,
  status: isBanOver(row, readAt) ? 'active' : row.status,
});
