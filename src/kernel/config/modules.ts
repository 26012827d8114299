import type { z } from 'zod';
import { checked } from './setting';

/** The modules that a process can serve. */
const MODULE_NAMES = ['auth', 'users', 'audit'] as const;
export type ModuleName = (typeof MODULE_NAMES)[number];

const namesIn = (value: string) => value.split(',').map((name) => name.trim());

function faultOfModules(value: string): string | undefined {
  const names = namesIn(value);
  const unknown = names.find((name) => !(MODULE_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined)
    return `must name modules of ${MODULE_NAMES.join(', ')}, separated by commas: ${JSON.stringify(unknown)} is none`;
  if (new Set(names).size < names.length) return 'must name each module once';
  if (names.join() === 'audit')
    return 'must name auth or users beside audit: it serves the events of the others';
  return undefined;
}

/** A comma-separated list of modules. */
export const moduleList = (): z.ZodType<readonly ModuleName[]> =>
  checked(faultOfModules).transform((value) => namesIn(value) as ModuleName[]);
