import type { Request } from 'express';
import { Problem, problems } from '../../kernel/errors';
import { isScope, type Permission } from '../../kernel/permissions';
import type { Endpoint } from '../../platform/http/endpoint';
import type { Principal } from './principal';

/** The requirements of an endpoint. */
export type Need = Pick<Endpoint, 'permission' | 'own' | 'impersonation'>;

/** RFC 6750 §3.1. */
const insufficientScope = (scope: Permission | undefined) =>
  new Problem(403, 'insufficient_scope', 'Forbidden', {
    detail:
      scope === undefined
        ? 'Only signed-in users may do this.'
        : `A service account needs the scope ${scope} for this.`,
    headers: {
      'WWW-Authenticate': `Bearer realm="api", error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`,
    },
  });

const lacking = ({ permission, own }: Need) =>
  problems.forbidden(
    `This needs the permission ${permission}${own === true ? ', unless you do it to yourself' : ''}.`,
  );

const USER_ID = /^(me|[0-9a-f]{24})$/;
/** Without it, a request for `/api/users/ME` would be told that it is not about the sender. */
const malformedId = () =>
  problems.malformed('invalid_path_parameter', 'A path parameter is not valid.', {
    errors: [
      {
        pointer: 'id',
        code: 'wrong_format',
        message: 'must be me, or 24 hexadecimal digits in lower case',
      },
    ],
  });

/** Throws 403 for an administrator who acts as the user. */
export function refuseImpersonator({ impersonator }: Principal): void {
  if (impersonator !== undefined)
    throw problems.forbidden(
      'Only the user itself may do this, not an administrator who acts as the user.',
      'impersonation_forbidden',
    );
}

/** Throws 403 unless this principal may use an endpoint that needs this. */
export function authorize(req: Request, principal: Principal, need: Need): void {
  const { permission, own } = need;
  if (principal.isService) {
    if (permission === undefined || !isScope(permission)) throw insufficientScope(undefined);
    if (!principal.permissions.has(permission)) throw insufficientScope(permission);
    return;
  }
  if (need.impersonation === false) refuseImpersonator(principal);
  if (permission === undefined || (own === true && isOwn(req, principal))) return;
  if (principal.permissions.has(permission)) return;
  throw own === true && !USER_ID.test(String(req.params['id'])) ? malformedId() : lacking(need);
}

const isOwn = ({ params: { id } }: Request, { userId }: Principal): boolean =>
  id === 'me' || id === userId;
