import type { Changes } from '../changes';
import type { UserDocument } from '../model';

/** A stored user as the decision about a row needs it. */
export type Seen = Pick<
  UserDocument,
  keyof Changes | '_id' | 'rev' | 'sessionVersion' | 'emailKey' | 'importedBy'
>;

export const SEEN_PROJECTION = {
  ...{ rev: 1, role: 1, status: 1, name: 1, email: 1, emailKey: 1, emailVerified: 1 },
  ...{ passwordHash: 1, sessionVersion: 1, externalId: 1, importedBy: 1 },
  ...{ userMetadata: 1, appMetadata: 1, privateMetadata: 1 },
  ...{ bannedUntil: 1, banReason: 1, mustChangePassword: 1 },
} as const satisfies Record<Exclude<keyof Seen, '_id'>, 1>;
