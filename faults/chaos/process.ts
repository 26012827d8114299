import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'dotenv';
import { RefusedError } from '../../dev/staging';
import { inheritedVariables } from '../../src/kernel/config/config';

const NAME = 'NODE_ENV';

/** The words of a file of /proc; none where the process has just ended. */
const wordsOf = (pid: number, file: 'cmdline' | 'environ'): string[] => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    return [];
  }
};

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

/** The absolute path of the program: `npm start` names it by a relative one, workers do not. */
function programOf(pid: number): string | undefined {
  const word = wordsOf(pid, 'cmdline').find((one) => one.endsWith('.js'));
  try {
    return word === undefined ? undefined : resolve(readlinkSync(`/proc/${pid}/cwd`), word);
  } catch {
    // It has just ended.
    return undefined;
  }
}

/** The children of the primary that run the same program: its workers, not its database. */
export function workersOf(primaryPid: number): number[] {
  const program = programOf(primaryPid);
  if (program === undefined) throw new RefusedError(`process ${primaryPid} runs no service`);
  const children = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1 && parentOf(pid) === primaryPid);
  return children.filter((pid) => programOf(pid) === program);
}

const variableOf = (words: readonly string[], name: string): string | undefined =>
  words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);

/** `.env` in the folder of a process; throws unless it is absent or readable. */
function fileOf(pid: number): Readonly<Record<string, string>> {
  try {
    return parse(readFileSync(join(`/proc/${pid}/cwd`, '.env'), 'utf8'));
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return {};
    throw error;
  }
}

/** Everywhere that the service reads NODE_ENV from; one that is overridden counts as well. */
function environmentsOf(pid: number): (string | undefined)[] {
  const words = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  const passed = variableOf(words, inheritedVariables.settings) || '{}';
  const settings = JSON.parse(passed) as Readonly<Record<string, string>>;
  return [variableOf(words, NAME), settings[NAME], fileOf(pid)[NAME]];
}

/** Refuses a process of production, and one whose settings this user may not read. */
export function refuseProductionProcess(pid: number): void {
  let environments: (string | undefined)[];
  try {
    environments = environmentsOf(pid);
  } catch {
    throw new RefusedError(`the settings of process ${pid} cannot be read: it may be production`);
  }
  if (environments.includes('production'))
    throw new RefusedError(`process ${pid} is production (its NODE_ENV). It is left alone.`);
}

/** The names that the primary has given to its workers: one. */
export const instancesOf = (primaryPid: number): (string | undefined)[] =>
  workersOf(primaryPid).map((pid) =>
    variableOf(wordsOf(pid, 'environ'), inheritedVariables.instance),
  );
