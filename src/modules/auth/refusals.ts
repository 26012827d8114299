import { Problem } from '../../kernel/errors';

/** Calls `refused` with the code of a refusal. A fault of the service (5xx) is none. */
export async function reportingRefusal<T>(
  refused: (code: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status < 500) refused(error.code);
    throw error;
  }
}

/**
 * Calls `failed` with the code that the client gets: that of the first field, where one is named.
 * A fault of the service (5xx) counts, too.
 */
export async function reportingFailure<T>(
  failed: (code: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem) failed(error.errors?.[0]?.code ?? error.code);
    throw error;
  }
}
