import type { Call, World } from './world';

export type Workload = (world: World) => Request | Promise<Request>;

/** `at`: the path where the route has parameters or a query. */
export type Request = Omit<Call, 'method' | 'path'> & { readonly at?: string };
