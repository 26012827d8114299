import { z } from 'zod';
import { fieldCodes, problemCodes } from '../../kernel/problem-codes';
import { MAX_FIELD_ERRORS } from './validation';

const text = (maxLength: number, ...examples: string[]) => z.string().meta({ maxLength, examples });
const place = () => z.int().min(0).max(2_147_483_647);

const fieldError = z
  .object({
    pointer: text(1024, '/email').meta({
      description: 'JSON pointer into the body (RFC 6901), or the name of a parameter.',
    }),
    code: z.enum(fieldCodes).meta({ description: 'Stable code, for programs.' }),
    message: text(2048, 'must be an e-mail address').meta({
      description: 'For people. It continues a sentence that begins with the name of the field.',
    }),
    params: z
      .record(
        z.string().max(64),
        z.union([z.string().max(256), z.number(), z.array(z.string().max(256)).max(100)]),
      )
      .optional()
      .meta({
        description:
          'The numbers and names in the message, for clients with messages of their own.',
        examples: [{ max: 254 }],
      }),
  })
  .meta({ id: 'FieldError' });

const names = () => z.array(z.string().max(64)).max(32);
const supportedQuery = z
  .object({
    sort: text(64, 'name'),
    requires: names(),
    accepts: names(),
    roles_max: place()
      .optional()
      .meta({ description: 'The most roles, with no filter but `role`.' }),
  })
  .meta({ id: 'SupportedQuery', description: 'Filters that a list serves in one order.' });

/** RFC 9457 problem details, the form of every problem of this service. */
export const problemSchema = z
  .object({
    type: text(128, 'urn:problem:validation_failed').meta({ format: 'uri' }),
    title: text(128, 'Unprocessable content'),
    status: z
      .int()
      .min(400)
      .max(599)
      .meta({ examples: [422] }),
    detail: text(1024, 'One or more fields are not valid.').optional(),
    instance: text(256, 'urn:request:044c7f48-4144-8056-8731-a989e00bc07a').meta({ format: 'uri' }),
    code: z.enum(problemCodes).meta({ description: 'Stable code, for programs.' }),
    errors: z.array(fieldError).max(MAX_FIELD_ERRORS).optional(),
    position: z
      .object({ offset: place(), line: place(), column: place() })
      .optional()
      .meta({ description: 'Of `malformed_json`: where the fault is.' }),
    supported: z
      .array(supportedQuery)
      .max(100)
      .optional()
      .meta({ description: 'Of `filters_not_supported` and `sort_not_supported`.' }),
    password_change_token: text(64, 'q2Vb4nK8sT1xY6wR3mP9zA5cD7fG0hJ2lN4oQ6uE8iS').optional().meta({
      description: 'Of `password_change_required`: works once, for `expires_in` seconds.',
    }),
    expires_in: place().optional().meta({ description: 'Lifetime of the token, in seconds.' }),
    limit_bytes: place().optional().meta({ description: 'Of `body_too_large`: the largest body.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });
