import type { UserModel } from './model';

const SAMPLE = 1000;

/** `$2b$12$` of bcrypt, else a PHC string up to its last numeric parameter. */
const PARAMETERS = /^\$(2[aby]\$\d\d\$|[a-z0-9-]+(\$v=\d+)?\$[a-z]+=\d+(,[a-z]+=\d+)*(?=[,$]))/;

/**
 * The parameters of the password hashes in a random sample of all users; of few users, in all of
 * them. They hold no salt and no digest.
 */
export async function sampleHashParameters(users: UserModel, timeoutMs: number): Promise<string[]> {
  const found = { $regexFind: { input: '$passwordHash', regex: PARAMETERS } };
  const rows = await users.collection
    .aggregate<{ _id: string | null }>(
      [{ $sample: { size: SAMPLE } }, { $project: { found } }, { $group: { _id: '$found.match' } }],
      { maxTimeMS: timeoutMs },
    )
    .toArray();
  return rows.flatMap(({ _id }) => (_id === null ? [] : [_id]));
}
