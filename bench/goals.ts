import { nameOfId } from './contestants';
import type { Figure, Figures } from './figures';
import { ratio, type Spread, spread } from './stats';

export interface GoalRow {
  readonly text: string;
  readonly node: string;
  /** As shown, e.g. `≥ 1.0`. */
  readonly goal: string;
  readonly value: Spread;
  readonly met: boolean;
  /** Others worked on the machine meanwhile: `met` says nothing. */
  readonly busy: boolean;
}

interface Goal {
  readonly text: string;
  readonly atLeast?: number | ((node: string) => number);
  readonly atMost?: number;
  value(figure: (question: string, name: string, contestant?: string) => Figure): Spread;
}

const byNode = (to20: number, from24: number) => (node: string) =>
  Number(node) >= 24 ? from24 : to20;

const over = (over: Figure, under: Figure) => ratio(over.samples, under.samples);

const OURS = nameOfId('ours');

const goals: readonly Goal[] = [
  ...[
    { question: 'profile', text: 'profile' },
    { question: 'user-by-id', text: 'user by id' },
  ].flatMap(({ question, text }): Goal[] => [
    {
      text: `${text}: ${OURS} ÷ ${nameOfId('fastify')}`,
      atLeast: 1,
      value: (figure) =>
        over(figure(question, 'requests'), figure(question, 'requests', 'fastify')),
    },
    {
      text: `${text}: ${OURS} ÷ ${nameOfId('bare')}`,
      atLeast: byNode(0.45, 0.55),
      value: (figure) => over(figure(question, 'requests'), figure(question, 'requests', 'bare')),
    },
    {
      text: `${text}: ${OURS} ÷ ${nameOfId('seed')}`,
      atLeast: byNode(15, 4),
      value: (figure) => over(figure(question, 'requests'), figure(question, 'requests', 'seed')),
    },
  ]),
  {
    text: '1,000 tokens and ids ÷ one',
    atLeast: 0.85,
    value: (figure) => over(figure('many-tokens', '1,000 ids'), figure('many-tokens', '1 id')),
  },
  {
    text: '100,000 tokens and ids ÷ one',
    atLeast: 0.65,
    value: (figure) => over(figure('many-tokens', '100,000 ids'), figure('many-tokens', '1 id')),
  },
  {
    text: '2 workers ÷ 1',
    atLeast: 1.9,
    value: (figure) => over(figure('workers', '2 workers'), figure('workers', '1 worker')),
  },
  ...['at 60 % of the slowest', 'at 60 % of (c) or (e)'].map((load) => ({
    text: `p99 ${load}: ${OURS} ÷ ${nameOfId('fastify')}`,
    atMost: 1,
    value: (figure: (question: string, name: string, contestant?: string) => Figure) =>
      over(figure('latency', `p99 ${load}`), figure('latency', `p99 ${load}`, 'fastify')),
  })),
  {
    text: 'profile with every way to sign in ÷ with passwords only',
    atLeast: 0.97,
    value: (figure) =>
      over(
        figure('sign-in-methods', 'requests', 'sign-in-methods'),
        figure('sign-in-methods', 'requests', 'passwords-only'),
      ),
  },
  {
    text: 'changes with events ÷ without',
    atLeast: 0.95,
    value: (figure) =>
      over(figure('events', 'changes'), figure('events', 'changes', 'without-events')),
  },
  {
    text: 'logins ÷ what the cores can hash',
    atLeast: 0.95,
    value: (figure) => spread(figure('login', 'share of what the cores can hash').samples),
  },
  {
    text: "profile reads' p99 during logins ÷ idle",
    atMost: 2,
    value: (figure) =>
      over(figure('login', 'read p99, during logins'), figure('login', 'read p99, idle')),
  },
  {
    text: "profile reads' p99 during an import ÷ idle",
    atMost: 2,
    value: (figure) =>
      over(figure('import', 'read p99, during the import'), figure('import', 'read p99, idle')),
  },
  {
    text: 'list page 10,000 ÷ page 1, first reads, 1 M users',
    atMost: 1.2,
    value: (figure) =>
      over(
        figure('deep-page', 'first read, last 100 pages'),
        figure('deep-page', 'first read, pages 101 to 200'),
      ),
  },
  {
    text: 'list page 10,000 ÷ page 1, repeated reads',
    atMost: 1.2,
    value: (figure) => over(figure('deep-page', 'page 1'), figure('deep-page', 'page 10,000')),
  },
  {
    text: 'memory per worker after the run, MB',
    atMost: 90,
    value: (figure) => spread(figure('profile', 'memory per worker').samples),
  },
];

class Missing extends Error {}

/**
 * A row per goal and Node version whose figures were measured. The median decides, unless one of
 * its questions is among the `busy`.
 */
export function goalRows(
  figures: Figures,
  nodes: readonly string[],
  busy: readonly string[] = [],
): readonly GoalRow[] {
  return goals.flatMap((goal) =>
    nodes.flatMap((node) => {
      const asked = new Set<string>();
      const figure = (question: string, name: string, contestant = 'ours'): Figure => {
        asked.add(question);
        const found = figures.find(question, name, contestant, node);
        if (found === undefined) throw new Missing(name);
        return found;
      };
      try {
        const value = goal.value(figure);
        return [{ ...row(goal, node, value), busy: busy.some((question) => asked.has(question)) }];
      } catch (error) {
        if (error instanceof Missing) return [];
        throw error;
      }
    }),
  );
}

function row({ text, atLeast, atMost }: Goal, node: string, value: Spread): Omit<GoalRow, 'busy'> {
  if (atMost !== undefined)
    return { text, node, goal: `≤ ${atMost}`, value, met: value.median <= atMost };
  const least = typeof atLeast === 'function' ? atLeast(node) : (atLeast ?? 0);
  return { text, node, goal: `≥ ${least}`, value, met: value.median >= least };
}
