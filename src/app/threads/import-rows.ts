import {
  type CompromisedList,
  createHashAlgorithm,
  type HashSettings,
  importHashSync,
  newPasswordOf,
  openCompromisedList,
  refuseKnownPassword,
  refusingCompromised,
} from '../../modules/auth';
import { createPreparer, type PreparedRows, type PrepareTask } from '../../modules/users';
import { lowerThreadPriority } from '../../runtime/jobs/thread-priority';

/** A task of the thread, with the settings that the thread needs. */
export interface ImportRowsTask extends PrepareTask {
  readonly hashing: HashSettings;
  /** For weak digests. */
  readonly bcryptCost: number;
  readonly niceness: number;
  /** COMPROMISED_PASSWORDS_FILE. */
  readonly compromisedFile: string | undefined;
}

let isStarted = false;
let list: CompromisedList | undefined;

/** Checks the records of one chunk, and hashes their passwords. */
export default function importRows(task: ImportRowsTask): PreparedRows {
  const { hashing, bcryptCost, niceness, compromisedFile } = task;
  if (!isStarted) lowerThreadPriority(niceness);
  isStarted = true;
  const prepare = createPreparer({
    newPassword: refusingCompromised(newPasswordOf(hashing.kind), listOf(compromisedFile)),
    refuseIdentity: refuseKnownPassword,
    hash: createHashAlgorithm(hashing).hashSync,
    take: (hash) => importHashSync(hash, bcryptCost),
  });
  return prepare(task);
}

/** Opened once, as the other processes do: another file counts from the next start. */
function listOf(path: string | undefined): CompromisedList | undefined {
  if (path !== undefined) list ??= openCompromisedList(path);
  return list;
}
