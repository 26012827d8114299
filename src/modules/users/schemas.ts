import { z } from 'zod';
import { isRoleName, type Policy } from '../../kernel/permissions';

/** A role that an account can be given. */
export const roleSchema = ({ roles }: Policy) => z.enum(roles);

/**
 * The same where a user is sent back: a string in the document, as in answers, so that typed
 * clients can send what they got. An account may have a role that has left ROLES: whether it gets
 * another one is seen with the account (`assertKnownRole`).
 */
export const returnedRoleSchema = ({ roles }: Policy) =>
  z
    .string()
    .max(32)
    .superRefine((role, context) => {
      if (!isRoleName(role))
        context.addIssue({ code: 'invalid_value', values: [...roles], input: role });
    })
    .meta({ description: `The role: ${roles.join(', ')}.`, examples: [roles[0]] });

/**
 * One pattern, not a union: so a path is held against it without zod (`pathParser`), and stock
 * tools see a string.
 */
export const userIdOrMe = z
  .string()
  .regex(/^(me|[0-9a-f]{24})$/, 'must be me, or 24 hexadecimal digits in lower case')
  .meta({ description: 'Id of a user, or `me`.', maxLength: 24, examples: ['me'] });
