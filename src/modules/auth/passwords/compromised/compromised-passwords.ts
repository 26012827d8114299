import { setTimeout as pause } from 'node:timers/promises';
import type { z } from 'zod';
import { type Config, ConfigError } from '../../../../kernel/config/config';
import type { Logger } from '../../../../platform/telemetry/logger';
import {
  compromisedPassword,
  PASSWORD_COMPROMISED,
  passwordCheckUnavailable,
} from '../../problems';
import { type CompromisedList, openCompromisedList } from './list-reader';

/** Refuses new passwords that were leaked (NIST SP 800-63B-4 §3.1.1.2). */
export interface CompromisedPasswords {
  /**
   * `pointer`: where the password is in the body. Throws 422 `password_compromised`, and 503
   * `password_check_unavailable` when the list cannot be read in time.
   */
  refuse(password: string, pointer: string): Promise<void>;
  close(): Promise<void>;
}

/** A lookup takes a few reads of 4 KiB. */
const TIMEOUT_MS = 2000;

/** The list of COMPROMISED_PASSWORDS_FILE, if it is set. Throws ConfigError. */
export function openCompromisedPasswords(
  { auth }: Config,
  log: Logger,
  timeoutMs = TIMEOUT_MS,
): CompromisedPasswords {
  const path = auth.compromisedPasswordsFile;
  if (path === undefined) return { refuse: async () => {}, close: async () => {} };
  const list = openConfiguredList(path);
  return {
    async refuse(password, pointer) {
      let isListed: boolean;
      try {
        isListed = await inTime(list.has(password), timeoutMs);
      } catch (err) {
        log.error({ err }, 'compromised password list not read');
        throw passwordCheckUnavailable();
      }
      if (isListed) throw compromisedPassword(pointer);
    },
    close: list.close,
  };
}

/** For worker threads, which it blocks for a few reads. */
export const refusingCompromised = (
  newPassword: z.ZodType<string>,
  list: Pick<CompromisedList, 'hasSync'> | undefined,
): z.ZodType<string> =>
  newPassword.refine((password) => list?.hasSync(password) !== true, {
    error: PASSWORD_COMPROMISED.message,
    params: { code: PASSWORD_COMPROMISED.code },
  });

/** Throws ConfigError. */
export function checkCompromisedPasswords({ auth }: Config): void {
  const path = auth.compromisedPasswordsFile;
  if (path !== undefined) void openConfiguredList(path).close();
}

/** Throws ConfigError. */
function openConfiguredList(path: string): CompromisedList {
  try {
    return openCompromisedList(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const fault = code === undefined ? message : `cannot be read (${code})`;
    throw new ConfigError([
      {
        env: 'COMPROMISED_PASSWORDS_FILE',
        message: `names ${JSON.stringify(path)}, which ${fault}`,
      },
    ]);
  }
}

async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const over = new AbortController();
  const timeout = pause(timeoutMs, undefined, { signal: over.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    over.abort();
    timeout.catch(() => {});
  }
}
