import type { PersonalData } from '../../platform/module';
import { noSuchUser } from './decide';
import type { UserRepository } from './repository';
import { personalAccount, privateViewOf, viewOf } from './view';

/**
 * The account, past every cache. With the private metadata and the ban, which the ordinary answers
 * to the user leave out (docs/adr/0027-personal-data.md).
 */
export const createUserExport = (repository: Pick<UserRepository, 'find'>): PersonalData => ({
  schema: { account: personalAccount },
  async read(userId) {
    const found = await repository.find(userId);
    if (found === null) throw noSuchUser();
    return { account: { ...viewOf(found), ...privateViewOf(found) } };
  },
});
