import type { Document } from 'mongodb';
import { encodeCursor, type ListParameters, listQuery } from './list';
import type { UserModel } from './model';

export interface QueryShape {
  readonly name: string;
  explain(): Promise<Document>;
}

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';

/** Every shape of query that users are read by, as the code itself makes them; for `npm run explain` and its test. */
export function userQueryShapes(users: UserModel, options: { timeoutMs: number }): QueryShape[] {
  const bounded = { maxTimeMS: options.timeoutMs };
  const find = (name: string, filter: Record<string, unknown>): QueryShape => ({
    name,
    explain: () => users.collection.find(filter, bounded).explain('queryPlanner'),
  });
  return [
    {
      name: 'user by id',
      explain: () => users.collection.find({ _id: new users.base.Types.ObjectId(SOME_ID) }, bounded).explain('queryPlanner'),
    },
    find('credentials by e-mail', { emailKey: 'ada@example.org' }),
    {
      name: 'another administrator',
      explain: () => users.collection.find({ role: 'admin', status: 'active' }, { ...bounded, limit: 1 }).explain('queryPlanner'),
    },
    ...listShapes().map(([name, parameters]): QueryShape => {
      const { query } = listQuery(parameters);
      return {
        name: `list ${name}`,
        explain: () =>
          users.collection.find(query.filter, { ...bounded, sort: query.sort, hint: query.hint, limit: 21 }).explain('queryPlanner'),
      };
    }),
  ];
}

function listShapes(): [string, ListParameters][] {
  const roles = [{}, { role: 'user' as const }];
  const sorts = (['createdAt', '-createdAt', 'name', '-name', 'email', '-email'] as const).flatMap((sort) => {
    const value = sort.endsWith('createdAt') ? 1_700_000_000_000 : 'm';
    return [{ sort }, { sort, cursor: encodeCursor(sort, value, SOME_ID) }];
  });
  const searches = [
    { q: 'ad' },
    { q: 'ad', sort: '-name' as const },
    { q: 'ad@' },
    { q: 'ad@', sort: '-email' as const },
    { email: 'ada@example.org' },
  ];
  return [...sorts, ...searches].flatMap((one) =>
    roles.map((role): [string, ListParameters] => {
      const parameters: ListParameters = { ...one, ...role };
      const { cursor, ...shown } = parameters;
      return [`${JSON.stringify(shown)}${cursor === undefined ? '' : ' after a cursor'}`, parameters];
    }),
  );
}
