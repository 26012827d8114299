import type { mongo } from 'mongoose';

/** A query shape of the service, whose plan is checked. */
export interface QueryShape {
  readonly name: string;
  explain(): Promise<mongo.Document>;
}

export interface Plan {
  /** Stages from the top, e.g. `LIMIT > FETCH > IXSCAN by_name`. */
  readonly text: string;
  /** The fault of the plan; undefined when it is efficient. */
  readonly fault: 'collection scan' | 'sort in memory' | undefined;
}

interface Stage {
  readonly stage?: string;
  readonly indexName?: string;
  readonly inputStage?: Stage;
  readonly inputStages?: readonly Stage[];
  readonly queryPlan?: Stage;
}

/**
 * The stages of the winning plan in an `explain()` result, from the classic or the slot-based query
 * engine.
 */
export function planOf(explained: mongo.Document): Plan {
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
    text: stages
      .map(({ stage = '?', indexName }) =>
        indexName === undefined ? stage : `${stage} ${indexName}`,
      )
      .join(' > '),
    fault,
  };
}

function flatten(stage: Stage): Stage[] {
  const below = [
    ...(stage.inputStage === undefined ? [] : [stage.inputStage]),
    ...(stage.inputStages ?? []),
  ];
  return [stage, ...below.flatMap(flatten)];
}
