import { randomBytes, timingSafeEqual } from 'node:crypto';
import { drainWorker } from '../primary/drain';
import type { Fleet } from '../primary/fleet';
import { parseScale } from '../primary/scale';
import type { FleetView, OpsActions } from './fleet-view';

const TOKEN_BYTES = 24;

/** Known to this process alone; the control socket tells it to the user that runs the service. */
export const createOpsToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url');

export function viewOf({ supervisor }: Fleet): FleetView {
  return {
    wanted: supervisor.wanted,
    ready: supervisor.readyCount,
    workers: () =>
      supervisor.workers().map(({ id, pid, state, startedAtMs, lastBeat }) => ({
        ...{ id, pid, state },
        ageSeconds: Math.round((performance.now() - startedAtMs) / 1000),
        rssMb: lastBeat?.rssMb,
        heapUsedMb: lastBeat?.heapUsedMb,
        loopDelayP99Ms: lastBeat?.delayP99Ms,
        utilisation: lastBeat?.utilisation,
        connections: lastBeat?.connections,
      })),
  };
}

export function actionsOf({ supervisor }: Fleet, token: string): OpsActions {
  const expected = Buffer.from(token);
  return {
    allows(given) {
      const bytes = Buffer.from(given);
      return bytes.length === expected.length && timingSafeEqual(bytes, expected);
    },
    act(action, value) {
      if (action === 'reload') {
        void supervisor.reload();
        return undefined;
      }
      if (action === 'drain') return drainWorker(supervisor, value);
      if (action !== 'scale') return `unknown action ${JSON.stringify(action)}`;
      const scale = parseScale(value, supervisor.wanted());
      if ('error' in scale) return scale.error;
      supervisor.scale(scale.wanted);
      return undefined;
    },
  };
}
