import { ALL_PERMISSIONS } from '../../../src/kernel/permissions';
import type { UserRepository } from '../../../src/modules/users/repository';
import { uniqueEmail } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { startUserHost } from '../../support/user-host';

let mongo: TestMongo;
beforeAll(async () => {
  mongo = await startTestMongo();
});
afterAll(() => mongo?.close());

type Spoil = (repository: UserRepository) => UserRepository;

/**
 * The keys of the metadata after two writes of one key each, where the second one is done between
 * the look and the write of the first.
 */
async function keysAfterBoth(spoil: Spoil): Promise<string[]> {
  let between: (() => Promise<unknown>) | undefined;
  const quick = await startUserHost(mongo.uri);
  const slow = await startUserHost(mongo.uri, {
    repository: (stored) => ({
      ...spoil(stored),
      async look(id, leftMs) {
        const seen = await stored.look(id, leftMs);
        const then = between;
        between = undefined;
        await then?.();
        return seen;
      },
    }),
  });
  try {
    const id = quick.repository.newId();
    const user = { id, email: uniqueEmail(), name: 'Ada', passwordHash: 'x', role: 'user' };
    await quick.repository.insert(user, new Date());
    const write = ({ users }: typeof quick, key: string) =>
      users.change(
        { userId: 'another', permissions: ALL_PERMISSIONS },
        id,
        {},
        {
          derive: ({ userMetadata = {} }) => ({ userMetadata: { ...userMetadata, [key]: 1 } }),
        },
      );
    between = () => write(quick, 'quick');
    await write(slow, 'slow');
    const stored = await quick.repository.find(id);
    return Object.keys(stored?.userMetadata ?? {}).toSorted();
  } finally {
    await slow.close();
    await quick.close();
  }
}

test('fault "lost update": a write that another one came before is derived again', async () => {
  expect(await keysAfterBoth((repository) => repository)).toEqual(['quick', 'slow']);
});

test('planted: a write that does not name the revision it has seen is caught', async () => {
  const overwriting: Spoil = (stored) => ({
    ...stored,
    async update(seen, ...rest) {
      const present = await stored.look(seen.id, 2000);
      return stored.update({ ...seen, rev: present?.rev ?? seen.rev }, ...rest);
    },
  });
  expect(await keysAfterBoth(overwriting)).toEqual(['slow']);
});
