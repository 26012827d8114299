import { isProblem } from '@clustered-auth/client';
import { ask } from '../dialog.mjs';
import { announce } from '../dom.mjs';
import { Told } from '../fields.mjs';
import { patchOf } from '../merge-patch.mjs';

const METADATA = [
  ['user_metadata', 'User metadata'],
  ['app_metadata', 'App metadata'],
  ['private_metadata', 'Private metadata'],
];
const asText = (value) => JSON.stringify(value ?? {}, null, 2);

/** The members of a user in the form, as text. */
const textsOf = (user) => ({
  ...{ name: user.name, email: user.email, role: user.role },
  external_id: user.external_id ?? '',
  ...Object.fromEntries(METADATA.map(([name]) => [name, asText(user[name])])),
});

/** A role that may not be given is shown as it is. */
function roleField(session, present) {
  const roles = session.assignable();
  const isFixed = !roles.includes(present);
  const names = isFixed ? [present] : roles;
  return {
    ...{ name: 'role', label: 'Role', value: present, disabled: isFixed },
    options: names.map((role) => [role, role]),
  };
}

const editable = ({ session, user }) => {
  const texts = textsOf(user);
  const isOwn = session.isOwn(user);
  const mayWrite = session.can('users:write');
  const shown = METADATA.filter(
    ([name]) =>
      name === 'user_metadata' ||
      (mayWrite && (name === 'app_metadata' || (session.can('users:read_private') && !isOwn))),
  );
  return [
    { name: 'name', label: 'Name', value: texts.name },
    { name: 'email', label: 'E-mail', type: 'email', value: texts.email },
    ...(isOwn ? [] : [roleField(session, user.role)]),
    ...(mayWrite ? [{ name: 'external_id', label: 'External id', value: texts.external_id }] : []),
    ...shown.map(([name, label]) => ({
      ...{ name, label: `${label} (JSON)`, rows: 4, value: texts[name], class: 'code' },
    })),
  ];
};

/** The members that the form has changed. Throws where a text is no JSON. */
function changeOf(user, values) {
  const before = textsOf(user);
  const patch = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === before[name]) continue;
    if (!METADATA.some(([one]) => one === name))
      patch[name] = name === 'external_id' && value === '' ? null : value;
    else {
      const change = patchOf(user[name] ?? {}, parsed(value, name));
      if (change !== undefined) patch[name] = change;
    }
  }
  return patch;
}

class NoJson extends Told {
  constructor(name) {
    super('no JSON');
    this.errors = [{ pointer: `/${name}`, message: 'must be a JSON object' }];
  }
}

function parsed(text, name) {
  let value;
  try {
    value = JSON.parse(text === '' ? '{}' : text);
  } catch {
    throw new NoJson(name);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NoJson(name);
  return value;
}

/** Others have changed the user: fields that the person has not touched take the present values. */
function reloaded(fields, before, after) {
  const [old, present] = [textsOf(before), textsOf(after)];
  for (const field of fields)
    if (field.value === old[field.name]) field.value = present[field.name];
  return fields.filter(({ name }) => old[name] !== present[name]).map(({ name }) => name);
}

export async function editUser(context) {
  const { session, read, refresh } = context;
  let base = context.user;
  let etag = session.etagOf(base.id);
  const path = { id: base.id };
  const result = await ask({
    title: `Edit ${base.name}`,
    fields: editable(context),
    action: 'Save',
    async submit(values, { fields }) {
      const body = changeOf(base, values);
      if (Object.keys(body).length === 0) return 'Nothing was changed';
      const headers = { 'if-match': etag };
      try {
        await session.act(() =>
          session.client.request('PATCH', '/api/users/{id}', { path, body, headers }),
        );
      } catch (error) {
        if (!isProblem(error, 'precondition_failed')) throw error;
        const present = await read();
        const names = reloaded(fields, base, present);
        [base, etag] = [present, session.etagOf(base.id)];
        throw new Told(conflictText(names));
      }
      return 'Saved';
    },
  });
  await refresh();
  return result;
}

const conflictText = (names) =>
  `Someone else has changed this user meanwhile${names.length > 0 ? ` (${names.join(', ')})` : ''}. The form shows the present values, and keeps what you have changed. Look at it and save again.`;

export async function createUser(session) {
  const roles = session.assignable();
  const user = await ask({
    title: 'New user',
    fields: [
      { name: 'name', label: 'Name', autocomplete: 'off' },
      { name: 'email', label: 'E-mail', type: 'email', autocomplete: 'off' },
      ...(roles.length > 0
        ? [
            {
              name: 'role',
              label: 'Role',
              value: 'user',
              options: roles.map((role) => [role, role]),
            },
          ]
        : []),
      ...(session.can('users:send_mail') && session.facts.mail
        ? [{ name: 'send_invitation', label: 'Mail a link to set a password', type: 'checkbox' }]
        : []),
    ],
    action: 'Create',
    submit: (body) => session.act(() => session.client.request('POST', '/api/users', { body })),
  });
  announce('User created');
  location.hash = `#/users/${user.id}`;
}
