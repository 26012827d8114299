/** Preloaded (`node --require`): changes of users leave no events behind. */
import { mongo } from 'mongoose';

type Document = Readonly<Record<string, unknown>>;
type Update = (filter: Document, update: Document, options: unknown) => Promise<unknown>;
const collection = mongo.Collection.prototype as unknown as Record<string, Update>;

for (const name of ['updateOne', 'findOneAndUpdate']) {
  const original = collection[name] as Update;
  collection[name] = function update(this: unknown, filter, change, options) {
    const { $push, ...rest } = change as { $push?: Document };
    const isEvent = !Array.isArray(change) && $push?.['outbox'] !== undefined;
    return original.call(this, filter, isEvent ? rest : change, options);
  };
}
