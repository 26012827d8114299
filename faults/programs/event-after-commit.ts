/**
 * Preloaded (`node --require`): the planted fault of the event scenarios. The event of a change is
 * stored by a second write, after the commit.
 */
import { mongo } from 'mongoose';

const LATER_MS = 250;

type Document = Readonly<Record<string, unknown>>;
type Update = (filter: Document, update: Document, options: unknown) => Promise<unknown>;
const collection = mongo.Collection.prototype as unknown as Record<string, Update>;

function isCommitted(result: unknown): boolean {
  const { matchedCount = 1 } = (result ?? { matchedCount: 0 }) as { matchedCount?: number };
  return matchedCount > 0;
}

for (const name of ['updateOne', 'findOneAndUpdate']) {
  const original = collection[name] as Update;
  collection[name] = async function update(this: unknown, filter, change, options) {
    const { $push, ...rest } = change as { $push?: Document };
    if (Array.isArray(change) || $push?.['outbox'] === undefined)
      return original.call(this, filter, change, options);
    const result = await original.call(this, filter, rest, options);
    const push = () => original.call(this, { _id: filter['_id'] }, { $push }, {});
    if (isCommitted(result)) setTimeout(() => push().catch(() => undefined), LATER_MS);
    return result;
  };
}
