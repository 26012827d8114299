import { randomUUID } from 'node:crypto';
import {
  type Answer,
  type Client,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../tests/support/http';
import { type ClockHost, type ClockStage, withClocksApart } from './clocks-kit';
import type { Outcome, Scenario, Suite } from './scenario';

const HOUR_SECONDS = 3600;
const GUESSES = 5;
const LOCK_WINDOW_MS = 300_000;

/** Counts of violations; each must be 0. */
function createFindings() {
  return {
    'live tokens refused': 0,
    'ended tokens accepted': 0,
    'sessions ended by an honest repeat': 0,
    'done twice under one key': 0,
    'left without an administrator': 0,
    'guesses beyond the limit': 0,
    'hosts that do not say how far they are off': 0,
  };
}
type Findings = ReturnType<typeof createFindings>;

interface Pair {
  readonly access_token: string;
  readonly refresh_token: string;
}

/** Round robin over the hosts, so that consecutive operations run under different clocks. */
function inTurn<T>(list: readonly T[]): () => T {
  let index = 0;
  return () => {
    index += 1;
    return list[index % list.length] as T;
  };
}

const profile = async (client: Client, token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const refresh = (client: Client, refresh_token: string) =>
  client('POST', '/api/auth/refresh', { body: { refresh_token } });
const sidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string })
    .sid;

/**
 * One user opens sessions, refreshes them (with retries) and ends them, each at another host. Every
 * step is checked.
 */
async function sessionsOf(
  hosts: readonly ClockHost[],
  rounds: number,
  found: Findings,
): Promise<number> {
  const clients = hosts.map(({ client }) => client);
  const next = inTurn(clients);
  const email = uniqueEmail('clocks');
  const ended: string[] = [];
  let checks = 0;
  let keeper: Pair = await register(next(), { email });
  const onAll = async (token: string, right: number, wrong: keyof Findings) => {
    for (const client of clients) {
      checks += 1;
      if ((await profile(client, token)) !== right) found[wrong] += 1;
    }
  };
  for (let round = 0; round < rounds; round += 1) {
    const signedIn = await next()('POST', '/api/auth/login', {
      body: { email, password: PASSWORD },
    });
    const victim = signedIn.json as Pair;
    await onAll(victim.access_token, 200, 'live tokens refused');
    const [first, repeat] = [
      await refresh(next(), keeper.refresh_token),
      await refresh(next(), keeper.refresh_token),
    ];
    if (first.status !== 200 || repeat.text !== first.text) {
      found['sessions ended by an honest repeat'] += 1;
      keeper = (await next()('POST', '/api/auth/login', { body: { email, password: PASSWORD } }))
        .json as Pair;
    } else keeper = first.json as Pair;
    await onAll(keeper.access_token, 200, 'live tokens refused');
    const by = next();
    const end =
      round % 2 === 0
        ? await by('POST', '/api/auth/logout', { token: victim.access_token })
        : await by('DELETE', `/api/auth/sessions/${sidOf(victim.access_token)}`, {
            token: keeper.access_token,
          });
    if (end.status === 204) ended.push(victim.access_token);
    // Check all sessions that ended earlier as well: each new end prunes the list of them.
    for (const token of ended) await onAll(token, 401, 'ended tokens accepted');
  }
  return checks;
}

/**
 * Two administrators demote each other at the same time, at hosts whose clocks are two hours apart.
 */
async function administrators(
  { hosts, admin }: ClockStage,
  rounds: number,
  found: Findings,
): Promise<number> {
  const [behind, ahead] = [hosts[1], hosts[2]].map((host) => (host as ClockHost).client) as [
    Client,
    Client,
  ];
  const email = uniqueEmail('second');
  const second = await register(behind, { email });
  const role = (client: Client, token: string, id: string, to: string) =>
    client('PATCH', `/api/users/${id}`, {
      token,
      body: { role: to },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
  const idOf = async (token: string) =>
    ((await ahead('GET', '/api/users/me', { token })).json as { id: string }).id;
  for (let round = 0; round < rounds; round += 1) {
    const firstToken = await login(ahead, admin.email, admin.password);
    const firstId = await idOf(firstToken);
    await role(ahead, firstToken, second.user.id, 'admin');
    const secondToken = await login(behind, email, PASSWORD);
    await Promise.all([
      role(ahead, firstToken, second.user.id, 'user'),
      role(behind, secondToken, firstId, 'user'),
    ]);
    const left = await Promise.all([
      login(behind, admin.email, admin.password),
      login(behind, email, PASSWORD),
    ]);
    const lists = await Promise.all(
      left.map((token) => behind('GET', '/api/users?role=admin', { token })),
    );
    const survivor = lists.findIndex(({ status }) => status === 200);
    if (survivor < 0) {
      found['left without an administrator'] += 1;
      return round + 1;
    }
    if (survivor === 1) await role(behind, left[1], firstId, 'admin');
  }
  return rounds;
}

/**
 * Sends the same new request to two hosts at once: one processes it, the other waits or replays the
 * response.
 */
async function keys(
  { hosts, admin }: ClockStage,
  rounds: number,
  found: Findings,
): Promise<number> {
  const clients = hosts.map(({ client }) => client);
  const token = await login(clients[0] as Client, admin.email, admin.password);
  for (let round = 0; round < rounds; round += 1) {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { name: 'Ada', email: uniqueEmail('once'), password: PASSWORD };
    const ask = (client: Client) => client('POST', '/api/users', { token, body, headers });
    const answers: Answer[] = await Promise.all(clients.map(ask));
    answers.push(...(await Promise.all(clients.map(ask))));
    // A busy machine may answer 503, and the retry is processed again. There must be no second user
    // and no email_taken.
    const isTold = ({ json }: Answer) => (json as { code?: string }).code === 'email_taken';
    const done = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text));
    if (done.size > 1 || answers.some(isTold)) found['done twice under one key'] += 1;
  }
  return rounds * hosts.length * 2;
}

/** Wrong passwords at all hosts in turn: they count together, in one window. */
async function guesses(hosts: readonly ClockHost[], found: Findings): Promise<number> {
  const next = inTurn(hosts.map(({ client }) => client));
  const windowOf = () => Math.floor(Date.now() / LOCK_WINDOW_MS);
  const began = windowOf();
  const email = uniqueEmail('guessed');
  let looked = 0;
  for (let guess = 0; guess < GUESSES * 3; guess += 1) {
    const { status } = await next()('POST', '/api/auth/login', {
      body: { email, password: 'a wrong password' },
    });
    if (status === 401) looked += 1;
  }
  const windows = windowOf() - began + 1;
  found['guesses beyond the limit'] += Math.max(0, looked - GUESSES * windows);
  return GUESSES * 3;
}

async function health(hosts: readonly ClockHost[], found: Findings): Promise<void> {
  for (const { client, aheadSeconds } of hosts) {
    const { status, clock } = (await client('GET', '/health')).json as {
      status: string;
      clock: { status: string; offset_ms: number };
    };
    const wanted = aheadSeconds === 0 ? 'ok' : 'degraded';
    const isRight =
      status === wanted &&
      clock.status === wanted &&
      Math.abs(clock.offset_ms - aheadSeconds * 1000) < 1000;
    if (!isRight) found['hosts that do not say how far they are off'] += 1;
  }
}

const apart: Scenario = {
  name: 'clocks-apart',
  title: 'three hosts on one database: one clock right, one an hour behind, one an hour ahead',
  goal: '0 of each finding: tokens, ends of sessions, honest repeats, keys, locks and limits hold at every host',
  planted: "every host trusts its own clock (the database's is not measured)",
  run: ({ quick, planted }) =>
    withClocksApart(
      {
        hosts: [
          { aheadSeconds: 0 },
          { aheadSeconds: -HOUR_SECONDS },
          { aheadSeconds: HOUR_SECONDS },
        ],
        env: { LOGIN_ATTEMPTS_PER_ACCOUNT: String(GUESSES) },
        ownClocks: planted,
      },
      async (stage): Promise<Outcome> => {
        const found = createFindings();
        await health(stage.hosts, found);
        const rounds = quick ? 4 : 20;
        // The planted fault ended the session: the violations found so far count.
        const parts = await Promise.all(
          [
            ...Array.from({ length: quick ? 2 : 4 }, () => sessionsOf(stage.hosts, rounds, found)),
            administrators(stage, rounds, found),
            keys(stage, rounds, found),
            guesses(stage.hosts, found),
          ].map((part) =>
            part.catch((error: unknown) =>
              error instanceof Error ? error.message : String(error),
            ),
          ),
        );
        const checks = parts.reduce<number>(
          (sum, part) => sum + (typeof part === 'number' ? part : 0),
          0,
        );
        const errors = parts.filter((part) => typeof part === 'string');
        return {
          met:
            errors.length === 0 && checks > 0 && Object.values(found).every((count) => count === 0),
          figures: {
            checks,
            ...found,
            ...(errors.length === 0 ? {} : { errors: errors.join('; ') }),
          },
        };
      },
    ),
};

export const suite: Suite = {
  name: 'clocks',
  title: 'Clocks',
  setting:
    "Three whole services of one worker each on one database whose clock is this machine's; the other clocks are shifted by libfaketime, or for JavaScript alone where that is not installed.",
  scenarios: [apart],
};
