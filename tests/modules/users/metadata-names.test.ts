import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import mongoose from 'mongoose';
import { metadataValue } from '../../../src/modules/users/metadata/json';
import { createUserModel } from '../../../src/modules/users/model';

const { deserialize, serialize } = mongoose.mongo.BSON;
const schema = metadataValue('Test.');
const users = createUserModel(mongoose.createConnection());
const librariesOf = (name: string) => path.resolve(__dirname, '../../../../node_modules', name);

/** Every name in the code of the driver and of mongoose: one of them may be special to it. */
function names(): ReadonlySet<string> {
  const found = new Set<string>();
  const files = ['bson/lib', 'mongodb/lib', 'mongoose/lib'].flatMap((library) =>
    readdirSync(librariesOf(library), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.c?js$/.test(entry.name))
      .map((entry) => path.join(entry.parentPath, entry.name)),
  );
  for (const file of files)
    for (const [name] of readFileSync(file, 'utf8').matchAll(/[A-Za-z_]\w*/g)) found.add(name);
  return found;
}

/** The metadata of an update as it would be stored. */
function stored(metadata: object): unknown {
  const query = users.updateOne({}, { $set: { userMetadata: metadata } }) as unknown as {
    _update: object;
    _castUpdate(update: object): object;
  };
  const update = query._castUpdate(query._update) as { $set: object };
  return deserialize(serialize(update.$set))['userMetadata'];
}

function isStoredAsGiven(metadata: object): boolean {
  try {
    return isDeepStrictEqual(stored(metadata), metadata);
  } catch {
    return false;
  }
}

test('a name that the driver or mongoose gives a meaning is refused', () => {
  const all = names();
  expect(all.size).toBeGreaterThan(5000);
  const broken = [...all].filter((name) =>
    [{ [name]: true }, { a: [{ [name]: 'Double' }] }].some(
      (metadata) => schema.safeParse(metadata).success && !isStoredAsGiven(metadata),
    ),
  );
  expect(broken).toEqual([]);
});
