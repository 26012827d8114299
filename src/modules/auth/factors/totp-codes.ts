import { Secret, TOTP } from 'otpauth';
import { isEqualInConstantTime } from '../../../kernel/crypto/digest';

/** RFC 6238 with what every authenticator app assumes: SHA-1, 6 digits, 30 seconds. */
const PERIOD_SECONDS = 30;
/** RFC 4226 §4 recommends 160 bits. */
const SECRET_BYTES = 20;
/** RFC 6238 §5.2: one step either way, for the clock of the device and the time of typing. */
const WINDOW = 1;

export const newTotpSecret = (): Buffer => Buffer.from(new Secret({ size: SECRET_BYTES }).bytes);

const secretOf = (bytes: Buffer) => new Secret({ buffer: Uint8Array.from(bytes).buffer });

export const secretText = (bytes: Buffer): string => secretOf(bytes).base32;

export const totpUri = (bytes: Buffer, issuer: string, label: string): string =>
  new TOTP({ issuer, label, secret: secretOf(bytes), period: PERIOD_SECONDS }).toString();

export const stepAt = (ms: number): number => Math.floor(ms / 1000 / PERIOD_SECONDS);

export const codeOf = (bytes: Buffer, step: number, digits = 6): string =>
  TOTP.generate({
    ...{ secret: secretOf(bytes), digits },
    period: PERIOD_SECONDS,
    timestamp: step * PERIOD_SECONDS * 1000,
  });

/**
 * The step of the code, within the window and after `lastStep`. All steps are compared, so that the
 * time does not tell which one it was.
 */
export function stepOf(
  bytes: Buffer,
  code: string,
  nowMs: number,
  lastStep: number,
): number | undefined {
  const present = stepAt(nowMs);
  let found: number | undefined;
  for (let step = present + WINDOW; step >= present - WINDOW; step -= 1)
    if (isEqualInConstantTime(codeOf(bytes, step), code) && step > lastStep) found = step;
  return found;
}
