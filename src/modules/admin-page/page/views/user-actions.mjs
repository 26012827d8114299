import { ask } from '../dialog.mjs';
import { Told } from '../fields.mjs';
import { editUser } from './user-changes.mjs';

/** One operation, after a question. `done`: the message afterwards. */
function asked(context, { path, method = 'POST', body, done, ...question }) {
  return async () => {
    const { session, user, refresh } = context;
    await ask({
      ...question,
      isDangerous: true,
      submit: (values) =>
        session.act(() =>
          session.client.request(method, path, { path: { id: user.id }, body: body?.(values) }),
        ),
    });
    await refresh();
    return done;
  };
}

const BAN_FIELDS = [
  { name: 'reason', label: 'Reason', hint: 'For administrators and the audit log.' },
  { name: 'until', label: 'Until', type: 'datetime-local', hint: 'Empty: until it is lifted.' },
];

const banBody = ({ reason, until }) => ({
  ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
  ...(until === '' ? {} : { until: new Date(until).toISOString() }),
});

const ban = (context) =>
  asked(context, {
    title: `Ban ${context.user.name}?`,
    text: 'Every session ends at once, and no login is accepted.',
    fields: BAN_FIELDS,
    action: 'Ban',
    path: '/api/users/{id}/ban',
    body: banBody,
    done: 'Banned',
  });

const unban = (context) =>
  asked(context, {
    title: `Lift the ban of ${context.user.name}?`,
    text: 'Logins are accepted again. Ended sessions stay ended.',
    action: 'Lift the ban',
    path: '/api/users/{id}/unban',
    done: 'The ban is lifted',
  });

const requirePassword = (context) =>
  asked(context, {
    title: 'Require a new password?',
    text: `The next login of ${context.user.name} must set a new password.`,
    fields: [{ name: 'end', label: 'End every session now', type: 'checkbox', value: true }],
    action: 'Require it',
    path: '/api/users/{id}/require-password-change',
    body: ({ end }) => ({ end_sessions: end }),
    done: 'The next login must set a new password',
  });

const sendMail = (context, kind) =>
  asked(context, {
    ...(kind === 'reset'
      ? { title: 'Send a password reset?', path: '/api/users/{id}/send-password-reset' }
      : { title: 'Send an invitation?', path: '/api/users/{id}/invite' }),
    text: `${context.user.email} gets a mail with a link to set a password.`,
    action: 'Send the mail',
    done: 'The mail is queued',
  });

const endSessions = (context) =>
  asked(context, {
    title: `End every session of ${context.user.name}?`,
    text: 'Every device is signed out at once. Logins stay possible.',
    action: 'End all sessions',
    method: 'DELETE',
    path: '/api/users/{id}/sessions',
    done: 'All sessions ended',
  });

const resetFactors = (context) =>
  asked(context, {
    title: `Remove the second factors of ${context.user.name}?`,
    text: 'Be sure that you are talking to this person: the account is then less protected.',
    action: 'Remove the factors',
    method: 'DELETE',
    path: '/api/users/{id}/factors',
    done: 'The second factors are removed',
  });

async function remove({ session, user }) {
  await ask({
    title: `Delete ${user.name}?`,
    text: 'The account and its data are removed. This cannot be undone.',
    fields: [{ name: 'confirm', label: `Type ${user.email} to confirm`, autocomplete: 'off' }],
    action: 'Delete the account',
    isDangerous: true,
    async submit({ confirm }) {
      if (confirm.trim() !== user.email) throw new Told('This is not the address of the account.');
      await session.act(() => session.client.users.remove(user.id));
      location.hash = '#/users';
    },
  });
  return 'Account deleted';
}

/** The actions that the role of the signed-in person may do: text, work, kind of the button. */
export function actionsOf(context) {
  const { session, user } = context;
  const { can } = session;
  const isOther = !session.isOwn(user);
  const mayAct = isOther && session.mayActOn(user);
  const isBanned = user.status === 'banned';
  const all = [
    [(mayAct && can('users:write')) || !isOther, 'Edit…', () => editUser(context), 'primary'],
    [mayAct && can('users:ban') && !isBanned, 'Ban…', ban(context)],
    [mayAct && can('users:ban') && isBanned, 'Change the ban…', ban(context)],
    [mayAct && can('users:ban') && isBanned, 'Lift the ban…', unban(context)],
    [mayAct && can('sessions:end'), 'End all sessions…', endSessions(context)],
    [
      mayAct && can('users:send_mail') && !isBanned,
      'Send password reset…',
      sendMail(context, 'reset'),
    ],
    [
      mayAct && can('users:send_mail') && !isBanned,
      'Send invitation…',
      sendMail(context, 'invite'),
    ],
    [mayAct && can('users:write'), 'Require new password…', requirePassword(context)],
    [mayAct && can('factors:reset'), 'Remove second factors…', resetFactors(context)],
    [mayAct && can('users:write'), 'Delete…', () => remove(context), 'danger'],
  ];
  return all.filter(([isAllowed]) => isAllowed).map(([, ...action]) => action);
}
