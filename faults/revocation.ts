import { setTimeout as pause } from 'node:timers/promises';
import { type Client, login, PASSWORD, register, uniqueEmail } from '../tests/support/http';
import { isRunning } from '../tests/support/service';
import { until } from '../tests/support/until';
import { type ClockStage, withClocksApart } from './clocks-kit';
import { sharedNowMs, type VerifierOrder } from './programs/revocation-verifier';
import { Findings, startVerifier, type VerifierProcess } from './revocation-kit';
import type { Outcome, RunOptions, Scenario, Suite } from './scenario';

const ISSUER = 'http://api.example.test';
const VERIFIERS = 8;

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
const between = (least: number, most: number) => least + Math.random() * (most - least);

/** A user with two sessions, and how the first of them ends. */
type End = (by: Client, user: SignedIn, admin: string) => Promise<{ readonly status: number }>;
interface SignedIn {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  readonly other: string;
}

const merge = { 'content-type': 'application/merge-patch+json' };
const sidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string })
    .sid;
const ENDS: readonly End[] = [
  (by, { token }) => by('POST', '/api/auth/logout', { token }),
  (by, { token }) => by('POST', '/api/auth/logout?scope=global', { token }),
  (by, { other }) => by('POST', '/api/auth/logout?scope=others', { token: other }),
  (by, { token, other }) => by('DELETE', `/api/auth/sessions/${sidOf(token)}`, { token: other }),
  (by, { id }, admin) => by('POST', `/api/users/${id}/ban`, { token: admin, body: {} }),
  (by, { id }, token) =>
    by('PATCH', `/api/users/${id}`, { token, body: { role: 'support' }, headers: merge }),
  (by, { id }, token) => by('DELETE', `/api/users/${id}`, { token }),
  (by, { other }) =>
    by('PATCH', '/api/auth/password', {
      token: other,
      body: { current_password: PASSWORD, new_password: 'another horse battery' },
    }),
];

interface Run {
  readonly stage: ClockStage;
  readonly verifiers: readonly VerifierProcess[];
  readonly findings: Findings;
}

/** One fault, for a while. */
type Fault = (run: Run) => Promise<void>;

const partition: Fault = async ({ verifiers }) => {
  const { proxy } = pick(verifiers);
  proxy.drop(true);
  await pause(between(300, 2500));
  proxy.drop(false);
  proxy.reset();
};
const slowLink: Fault = async ({ verifiers }) => {
  const { proxy } = pick(verifiers);
  proxy.delay(() => between(50, 450));
  await pause(between(500, 2500));
  proxy.delay(() => 0);
};
const stopped: Fault = async ({ verifiers }) => {
  const one = pick(verifiers);
  one.signal('SIGSTOP');
  await pause(between(200, 2500));
  one.signal('SIGCONT');
};
const killed: Fault = async ({ verifiers }) => pick(verifiers).replace();
const workerKilled: Fault = async ({ stage }) => {
  const pid = pick(stage.hosts).service.workerPids().find(isRunning);
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  await pause(3000);
};
const ALL_FAULTS = [partition, slowLink, stopped, partition, slowLink, stopped, killed];

/** Each answer is late, and then there is none. */
async function slowThenCut({ proxy }: VerifierProcess): Promise<void> {
  const ms = between(200, 300);
  proxy.delay(() => ms);
  await pause(between(800, 1600));
  proxy.drop(true);
  await pause(1700);
  proxy.drop(false);
  proxy.delay(() => 0);
  proxy.reset();
  await pause(500);
}

/** Tokens are checked for so long after their end. */
const AFTER_MS = 3000;

async function endTokens(run: Run, admin: string, rounds: { n: number }): Promise<number[]> {
  const { stage, verifiers, findings } = run;
  const clients = stage.hosts.map(({ client }) => client);
  const open = async (): Promise<SignedIn> => {
    const email = uniqueEmail('revoked');
    const { access_token: token, user } = await register(pick(clients), { email });
    return { id: user.id, email, token, other: await login(pick(clients), email, PASSWORD) };
  };
  const opened = await Promise.allSettled(Array.from({ length: 6 }, open));
  const users = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const tokens = users.map((user, i) => [rounds.n * 100 + i, user.token] as const);
  rounds.n += 1;
  for (const verifier of verifiers) verifier.send({ kind: 'add', tokens });
  await pause(between(100, 400));
  const latencies: number[] = [];
  await Promise.allSettled(
    users.map(async (user, i) => {
      const began = sharedNowMs();
      const { status } = await pick(ENDS)(pick(clients), user, admin);
      if (status < 200 || status > 299) return;
      const [id] = tokens[i] as readonly [number, string];
      findings.acknowledgedMs.set(id, sharedNowMs());
      latencies.push(sharedNowMs() - began);
    }),
  );
  const ids = tokens.map(([id]) => id);
  setTimeout(() => {
    for (const verifier of verifiers) verifier.send({ kind: 'drop', ids });
  }, AFTER_MS).unref();
  return latencies;
}

interface Plan {
  readonly faults: readonly Fault[];
  readonly checks: number;
  readonly seconds: number;
  readonly verifiers: number;
  readonly planted?: VerifierOrder['planted'] | undefined;
  readonly preload?: string | undefined;
}

async function runPlan(plan: Plan): Promise<Outcome> {
  const env = { WORKERS: '1', DB_OPERATION_TIMEOUT_MS: '2000' };
  const hosts = [
    { aheadSeconds: 0, env },
    { aheadSeconds: 0, env },
  ];
  const preload = plan.preload === undefined ? {} : { preload: plan.preload };
  return withClocksApart({ hosts, ...preload }, async (stage) => {
    const findings = new Findings();
    const [client] = stage.hosts.map((host) => host.client) as [Client];
    const admin = await login(client, stage.admin.email, stage.admin.password);
    const body = { name: 'Orders', scopes: ['revocations:read', 'tokens:introspect'] };
    const { json } = await client('POST', '/api/service-accounts', { token: admin, body });
    const credentials = { clientId: json.id, clientSecret: json.client_secret };
    const verifiers: VerifierProcess[] = [];
    try {
      for (let n = 0; n < plan.verifiers; n += 1) {
        const whenSilent = n % 4 < 2 ? 'refuse' : 'introspect';
        const order = { issuer: ISSUER, credentials, whenSilent, planted: plan.planted } as const;
        const host = stage.hosts[n % stage.hosts.length] as ClockStage['hosts'][number];
        verifiers.push(await startVerifier(host.service.port, order, findings));
      }
      return await attack({ stage, verifiers, findings }, admin, plan);
    } finally {
      await Promise.all(verifiers.map((one) => one.close()));
    }
  });
}

async function attack(run: Run, admin: string, plan: Plan): Promise<Outcome> {
  const { findings } = run;
  const began = performance.now();
  const rounds = { n: 1 };
  const latencies: number[] = [];
  const isOver = () =>
    performance.now() - began > plan.seconds * 1000 ||
    (findings.checks >= plan.checks && rounds.n > 10);
  await endTokens(run, admin, rounds);
  await until('a verifier accepts', () => findings.lastAcceptedMs.size > 0, 20_000);
  let faults = 0;
  const faulty = Array.from({ length: Math.min(3, plan.faults.length) }, async () => {
    while (!isOver()) {
      await pick(plan.faults)(run);
      faults += 1;
      await pause(between(50, 300));
    }
  });
  while (!isOver()) latencies.push(...(await endTokens(run, admin, rounds)));
  await Promise.all(faulty);
  await pause(AFTER_MS / 2);
  const sorted = latencies.sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  const violations = findings.violations();
  const ended = findings.acknowledgedMs.size;
  return {
    met: violations === 0 && ended >= 10 && findings.checks >= plan.checks / 2,
    figures: {
      'accepted after the acknowledgement': violations,
      'latest ms after': findings.worstMs(),
      'ends acknowledged': ended,
      checks: findings.checks,
      faults,
      refused: Object.entries(findings.refused)
        .map(([code, count]) => `${count} × ${code}`)
        .join('; '),
      'end p50 ms': at(0.5),
      'end p99 ms': at(0.99),
    },
  };
}

const goal = '0 tokens accepted by a check that began after their end was acknowledged';
const sized = ({ quick, planted }: RunOptions, checks: number) =>
  quick
    ? { checks: 20_000, seconds: 12, verifiers: 4 }
    : { checks: planted ? 50_000 : checks, seconds: planted ? 60 : 600, verifiers: VERIFIERS };

const attacked: Scenario = {
  name: 'attacked',
  title: 'partitions, slow links, SIGSTOP and kill -9 of verifiers, kill -9 of workers',
  goal,
  planted: 'push only: no lease',
  run: (options) =>
    runPlan({
      ...sized(options, 1_000_000),
      faults: options.quick ? ALL_FAULTS : [...ALL_FAULTS, workerKilled],
      planted: options.planted ? 'no-lease' : undefined,
    }),
};

const slowAnswers: Scenario = {
  name: 'slow-answers',
  title: 'the answers of looks are on their way for up to the lease',
  goal,
  planted: 'the lease counts from the answer',
  run: (options) =>
    runPlan({
      ...sized(options, 200_000),
      faults: [
        async ({ verifiers }) => {
          await Promise.all(verifiers.map(slowThenCut));
        },
      ],
      planted: options.planted ? 'lease-from-answer' : undefined,
    }),
};

const early: Scenario = {
  name: 'acknowledged-early',
  title: 'no fault but many ends at once',
  goal,
  planted: 'the write is acknowledged before the log has its entry',
  run: (options) =>
    runPlan({
      ...sized(options, 200_000),
      faults: [],
      preload: options.planted ? 'early-acknowledgement' : undefined,
    }),
};

export const suite: Suite = {
  name: 'revocation',
  title: 'Ended tokens at verifiers of other services',
  setting:
    'Two hosts on one database engine, eight processes that verify tokens by `packages/verifier` (half of them introspect when silent, half refuse), each behind a proxy of its own; sessions are ended in eight ways, and every check is compared with the acknowledgement by the monotonic clock that all processes share.',
  scenarios: [attacked, slowAnswers, early],
};
