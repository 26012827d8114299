import type { UserRepository } from '../../src/modules/users/repository';
import type { Attempt, Snapshot } from '../../src/modules/users/snapshot';

/** An attempt without a deadline. */
export const anyTime = (): Attempt => ({ timeoutMs: 2000, until: new Date(Date.now() + 60_000) });

export async function lookAt(repository: UserRepository, id: string): Promise<Snapshot> {
  const seen = await repository.look(id, 2000);
  if (seen === null) throw new Error(`no user ${id}`);
  return seen;
}
