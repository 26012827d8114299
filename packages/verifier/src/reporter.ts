import type { VerifierEvent } from './events.js';

type OnEvent = (event: VerifierEvent) => unknown;

/**
 * A handler for logs and metrics has no part in decisions: when it throws, or rejects, the
 * process is warned once, and the verifier goes on.
 */
export function reporterOf(onEvent: OnEvent | undefined): (event: VerifierEvent) => void {
  let isWarned = false;
  const warn = (error: unknown) => {
    if (isWarned) return;
    isWarned = true;
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const options = { type: 'VerifierWarning', detail };
    process.emitWarning('onEvent of createVerifier has thrown; the verifier goes on', options);
  };
  return (event) => {
    try {
      Promise.resolve(onEvent?.(event)).catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}
