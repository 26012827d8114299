import type { Question } from '../bench';
import { connections } from './connections';
import { deepPage } from './deep-page';
import { events } from './events';
import { floods } from './floods';
import { importUsers } from './import';
import { latency } from './latency';
import { listPage } from './list-page';
import { login } from './login';
import { manyTokens } from './many-tokens';
import { mixed } from './mixed';
import { notModified } from './not-modified';
import { profile } from './profile';
import { prototypes } from './prototypes';
import { ratio } from './ratio';
import { register } from './register';
import { secondOpinion } from './second-opinion';
import { signInMethods } from './sign-in-methods';
import { update } from './update';
import { userById } from './user-by-id';
import { workers } from './workers';

/**
 * In the order in which they are asked. The million users come last: every query before runs on the
 * smaller set.
 */
export const questions: readonly Question[] = [
  profile,
  userById,
  secondOpinion,
  signInMethods,
  notModified,
  prototypes,
  latency,
  manyTokens,
  listPage,
  mixed,
  update,
  events,
  login,
  register,
  floods,
  workers,
  connections,
  importUsers,
  deepPage,
  ratio,
];
