import type { Document } from 'mongodb';

export interface Plan {
  /** Stages from the top, e.g. `LIMIT > FETCH > IXSCAN by_name`. */
  readonly text: string;
  /** Why the plan is not good enough; undefined where it is. */
  readonly fault: 'collection scan' | 'sort in memory' | undefined;
}

interface Stage {
  readonly stage?: string;
  readonly indexName?: string;
  readonly inputStage?: Stage;
  readonly inputStages?: readonly Stage[];
  readonly queryPlan?: Stage;
}

/** The winning plan of an `explain()` answer, by its stages. Knows both engines' forms (classic and slot-based). */
export function planOf(explained: Document): Plan {
  const planner = (explained['queryPlanner'] ?? {}) as { winningPlan?: Stage };
  const top = planner.winningPlan?.queryPlan ?? planner.winningPlan;
  if (top === undefined) return { text: 'no plan', fault: 'collection scan' };
  const stages = flatten(top);
  const fault = stages.some(({ stage }) => stage === 'COLLSCAN')
    ? ('collection scan' as const)
    : stages.some(({ stage }) => stage === 'SORT')
      ? ('sort in memory' as const)
      : undefined;
  return {
    text: stages.map(({ stage = '?', indexName }) => (indexName === undefined ? stage : `${stage} ${indexName}`)).join(' > '),
    fault,
  };
}

function flatten(stage: Stage): Stage[] {
  const below = [...(stage.inputStage === undefined ? [] : [stage.inputStage]), ...(stage.inputStages ?? [])];
  return [stage, ...below.flatMap(flatten)];
}
