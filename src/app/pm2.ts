/** The part of the compiled service that ecosystem.config.js reads, in one file. */
export { environmentNames } from '../kernel/config/config';
export { workerCount } from '../runtime/primary/cores';
export { workerFlags } from '../runtime/primary/worker-flags';
