// Keeps a copy of all users, from events alone: none is missed and none invented, whatever is
// killed.   node examples/mirror/mirror.mjs
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { get } from './service.mjs';

const { MIRROR_FILE = 'mirror.json', POLL_MS = '500' } = process.env;

// Copy and position are one file: it is of before a page of events, or of after it.
async function save(state) {
  await writeFile(`${MIRROR_FILE}.new`, JSON.stringify(state));
  await rename(`${MIRROR_FILE}.new`, MIRROR_FILE);
  const users = Object.keys(state.users).length;
  console.log(JSON.stringify({ mirror: MIRROR_FILE, users, after: state.after }));
  return state;
}

/** All users, and the position from before they were read: later events are then applied on top. */
async function readAll() {
  const users = {};
  let after;
  for (let page = '/api/events?limit=1000'; page !== undefined; ) {
    const { next_after, has_more } = (await get(page)).body;
    after = next_after;
    page = has_more ? `/api/events?limit=1000&after=${after}` : undefined;
  }
  for (let path = '/api/users?limit=100'; path !== undefined; ) {
    const { data, next_cursor } = (await get(path)).body;
    for (const user of data) users[user.id] = user;
    path = next_cursor
      ? `/api/users?limit=100&cursor=${encodeURIComponent(next_cursor)}`
      : undefined;
  }
  return save({ after, users });
}

/** Events hold no values: each user that one tells of is read as it is now. */
async function follow(state) {
  const { status, body } = await get(`/api/events?limit=1000&after=${state.after}`);
  if (status === 410) return readAll(); // away for longer than events are kept
  const users = { ...state.users };
  for (const id of new Set(body.data.map(({ subject }) => subject))) {
    const user = await get(`/api/users/${id}`);
    if (user.status === 404) delete users[id];
    else users[id] = user.body;
  }
  if (!body.has_more) await pause(Number(POLL_MS));
  return body.next_after === state.after ? state : save({ after: body.next_after, users });
}

let state = await readFile(MIRROR_FILE, 'utf8').then(JSON.parse, () => undefined);
for (;;)
  try {
    state = state === undefined ? await readAll() : await follow(state);
  } catch (error) {
    console.error(String(error));
    await pause(1000);
  }
