import { z } from 'zod';
import { endpoint } from '../../platform/http/endpoint';
import { shownTime } from '../../platform/http/view-schemas';
import type { PersonalData } from '../../platform/module';

/** `parts`: the data that each module keeps. */
export const exportEndpoint = (parts: readonly PersonalData[]) =>
  endpoint({
    method: 'get',
    path: '/api/users/me/export',
    id: 'exportPersonalData',
    summary: 'Get everything that is kept about the signed-in user; needs a recent login',
    tag: 'users',
    access: 'user',
    impersonation: false,
    waits: true,
    answers: {
      200: {
        description: 'One document, sent as it is read.',
        schema: z
          .object({
            exported_at: shownTime('When the export began.'),
            ...(Object.assign({}, ...parts.map(({ schema }) => schema)) as PersonalData['schema']),
          })
          .meta({ id: 'PersonalDataExport' }),
      },
    },
    problems: ['insufficient_user_authentication', 'user_not_found'],
  });
