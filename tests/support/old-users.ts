import { type mongo, Types } from 'mongoose';

/** A user as the version before `emailVerified` wrote it; `verifiedEmailKey` where it was proven. */
export function oldUser(n: number, more: mongo.Document = {}): mongo.Document {
  const at = new Date(Date.UTC(2025, 0, 1) + n * 1000);
  return {
    _id: new Types.ObjectId(),
    ...{ name: `Old ${n}`, nameKey: `old ${n}` },
    ...{ email: `old${n}@example.org`, emailKey: `old${n}@example.org` },
    passwordHash: '$2b$04$0123456789012345678901uK2z0T8yQK0mS0r6Qm1mG0lqD0lH8e.',
    role: 'user',
    status: 'active',
    rev: 1,
    sessionVersion: 1,
    revokedSessions: [],
    createdAt: at,
    updatedAt: at,
    ...more,
  };
}
