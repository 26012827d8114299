import type { Connection } from 'mongoose';
import type { Removal } from '../../platform/module';
import type { AuditRow } from './audit-event';
import { AUDIT_COLLECTION } from './collection';

const BATCH = 500;

/**
 * Puts the pseudonym in the place of a removed user, as subject and as actor, and takes off what
 * leads to the person: the origin of its own requests, and of those that nobody is known to have
 * sent. The origin of an administrator's request is the administrator's. A row that is done does
 * not match again, so that each batch makes the rest smaller.
 */
export async function purgeAuditLog(
  connection: Connection,
  { userId, pseudonym }: Removal,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = connection.collection<AuditRow>(AUDIT_COLLECTION);
  for (const filter of [{ subject: userId }, { actor: userId }, { impersonated: userId }]) {
    for (;;) {
      const found = await rows
        .find(filter, { ...bounded, projection: { _id: 1 }, limit: BATCH })
        .toArray();
      if (found.length === 0) break;
      const ids = found.map(({ _id }) => _id);
      await rows.updateMany({ _id: { $in: ids } }, pseudonymized(userId, pseudonym), bounded);
    }
  }
}

function pseudonymized(userId: string, pseudonym: string) {
  const isUser = (field: string) => ({ $eq: [field, userId] });
  const replaced = (field: string) => ({ $cond: [isUser(field), pseudonym, field] });
  const isOwn = { $eq: [{ $ifNull: ['$actor', userId] }, userId] };
  const withoutOrigin = (field: string) => ({ $cond: [isOwn, '', field] });
  return [
    {
      $set: {
        // Before the two names: a stage reads the row as it was.
        network: withoutOrigin('$network'),
        userAgent: withoutOrigin('$userAgent'),
        requestId: withoutOrigin('$requestId'),
        session: { $cond: [isUser('$subject'), '$$REMOVE', '$session'] },
        subject: replaced('$subject'),
        actor: replaced('$actor'),
        impersonated: replaced('$impersonated'),
        // Of an impersonation the reason is free text.
        reason: { $cond: [isUser('$impersonated'), '$$REMOVE', '$reason'] },
        // An administrator's words about the person.
        note: { $cond: [isUser('$subject'), '$$REMOVE', '$note'] },
        tokenId: { $cond: [isUser('$impersonated'), '$$REMOVE', '$tokenId'] },
      },
    },
  ];
}
