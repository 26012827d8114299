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
