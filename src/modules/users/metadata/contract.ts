import { z } from 'zod';
import { EXTERNAL_ID_MAX } from '../view';
import { metadataPatch, metadataValue } from './json';

/** Printable ASCII, so that it is the same text in every system; no blanks around it. */
const externalId = z
  .string()
  .max(EXTERNAL_ID_MAX, { abort: true })
  .regex(
    /^[!-~]([ -~]*[!-~])?$/,
    'must be printable ASCII, with no blanks at its beginning and end',
  )
  .meta({
    description: 'Id of the user in another system, unique.',
    minLength: 1,
    examples: ['crm-4711'],
  });

const BY_USER = 'JSON of the user: at most 8 KiB, 8 levels deep.';
const BY_ADMIN = 'JSON that the user reads and cannot write; by `users:write` only.';
const PRIVATE = 'JSON that the user never sees; by `users:write` and `users:read_private` only.';

export const userMetadata = metadataValue(BY_USER);

/** In a body that creates or replaces. */
export const wholeMetadata = {
  external_id: externalId.nullable().optional(),
  user_metadata: userMetadata.optional(),
  app_metadata: metadataValue(BY_ADMIN).optional(),
  private_metadata: metadataValue(PRIVATE).optional(),
} as const;

const merged = (description: string) =>
  metadataPatch(`${description} Merged (RFC 7396); null removes it.`).nullable().optional();

/** In a merge patch. */
export const mergedMetadata = {
  external_id: externalId.nullable().optional(),
  user_metadata: merged(BY_USER),
  app_metadata: merged(BY_ADMIN),
  private_metadata: merged(PRIVATE),
} as const;
