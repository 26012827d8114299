import { z } from 'zod';
import { endpoint, type MayStill, type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { shownText } from '../../../platform/http/view-schemas';
import { principalOf } from '../principal';
import { assertStill } from './routes';
import { type PollSecurityEvents, SESSION_REVOKED } from './security-events';

const MAX_EVENTS = 100;
const MAX_WAIT_MS = 5000;
const POLL = 'urn:ietf:rfc:8936';
const jti = z.string().min(1).max(64);
const uri = (example: string) =>
  z.string().meta({ format: 'uri', maxLength: 2048, examples: [example] });
const uris = z.array(z.string().meta({ maxLength: 256 })).max(10);

const endpoints = {
  poll: endpoint({
    method: 'post',
    path: '/api/auth/security-events',
    id: 'pollSecurityEvents',
    summary: 'Poll ended sessions as security event tokens (RFC 8936, OpenID CAEP)',
    tag: 'oauth',
    access: 'user',
    permission: 'revocations:read',
    impersonation: false,
    idempotencyKey: false,
    waits: true,
    body: z.strictObject({
      maxEvents: z.int().min(0).max(1_000_000).optional(),
      returnImmediately: z.boolean().default(false),
      ack: z.array(jti).max(1000).default([]),
      setErrs: z
        .record(jti, z.looseObject({ err: z.string().max(256) }))
        .default({})
        .meta({ description: 'Tokens that the receiver could not use. They are not sent again.' }),
    }),
    answers: {
      200: {
        description: 'Signed by the published keys, `typ: secevent+jwt` (RFC 8417).',
        schema: z
          .object({
            sets: z
              .record(z.string().meta({ maxLength: 64 }), z.string().meta({ maxLength: 8192 }))
              .meta({ description: 'By their `jti`.' }),
            moreAvailable: z.boolean(),
          })
          .meta({ id: 'SecurityEvents' }),
      },
    },
    problems: ['busy'],
  }),
  stream: endpoint({
    method: 'get',
    path: '/api/auth/security-events',
    id: 'getSecurityEventStream',
    summary: 'Get the stream of security events of this service account (OpenID SSF)',
    tag: 'oauth',
    access: 'user',
    permission: 'revocations:read',
    impersonation: false,
    answers: {
      200: {
        description: 'Its configuration. It begins with the first poll.',
        schema: z
          .object({
            stream_id: shownText(64, 'Id of the stream.', '652f1c3e9b1d4a0012ab34cd'),
            iss: uri('https://api.example.org'),
            aud: shownText(64, 'The service account.', '652f1c3e9b1d4a0012ab34cd'),
            events_supported: uris,
            events_requested: uris,
            events_delivered: uris,
            delivery: z.object({
              method: z.literal(POLL),
              endpoint_url: uri('https://api.example.org/api/auth/security-events'),
            }),
          })
          .meta({ id: 'SecurityEventStream' }),
      },
    },
  }),
  metadata: endpoint({
    method: 'get',
    path: '/.well-known/ssf-configuration',
    id: 'ssfConfiguration',
    summary: 'Get the metadata of the transmitter of security events (OpenID SSF 1.0)',
    tag: 'discovery',
    access: 'public',
    answers: {
      200: {
        description: 'The metadata.',
        schema: z
          .looseObject({
            spec_version: z.literal('1_0'),
            issuer: uri('https://api.example.org'),
            jwks_uri: uri('https://api.example.org/.well-known/jwks.json'),
            configuration_endpoint: uri('https://api.example.org/api/auth/security-events'),
            delivery_methods_supported: uris,
            default_subjects: z.literal('ALL'),
          })
          .meta({ id: 'TransmitterMetadata' }),
      },
    },
  }),
};

export interface SecurityEventRoutesDependencies {
  readonly poll: PollSecurityEvents;
  readonly issuer: string;
  readonly baseUrl: string;
  readonly mayStill: MayStill;
}

export function createSecurityEventRoutes(deps: SecurityEventRoutesDependencies): Route[] {
  const { poll, issuer, baseUrl, mayStill } = deps;
  const here = `${baseUrl}/api/auth/security-events`;
  const metadata = {
    spec_version: '1_0',
    issuer,
    jwks_uri: `${baseUrl}/.well-known/jwks.json`,
    configuration_endpoint: here,
    delivery_methods_supported: [POLL],
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
    default_subjects: 'ALL',
  };
  const headers = NO_STORE;
  return [
    route(endpoints.poll, async ({ body }, req) => {
      const answer = await poll({
        receiver: principalOf(req).userId,
        maxEvents: Math.min(body.maxEvents ?? MAX_EVENTS, MAX_EVENTS),
        waitMs: body.returnImmediately ? 0 : MAX_WAIT_MS,
        done: [...body.ack, ...Object.keys(body.setErrs)],
      });
      if (!body.returnImmediately) await assertStill(mayStill, req);
      return { status: 200, headers, body: answer };
    }),
    route(endpoints.stream, (_, req) => {
      const { userId } = principalOf(req);
      const events = [SESSION_REVOKED];
      const delivery = { method: POLL, endpoint_url: here };
      const stream = { stream_id: userId, iss: issuer, aud: userId, delivery };
      return {
        status: 200,
        headers,
        body: {
          ...stream,
          ...{ events_supported: events, events_requested: events, events_delivered: events },
        },
      };
    }),
    route(endpoints.metadata, () => ({
      status: 200,
      headers: { 'Cache-Control': 'public, max-age=3600' },
      body: metadata,
    })),
  ];
}
