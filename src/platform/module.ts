import type { RequestHandler } from 'express';
import type { Connection } from 'mongoose';
import type { z } from 'zod';
import type { Config } from '../kernel/config/config';
import type { Subscribers } from './events';
import type { Route } from './http/endpoint';
import type { JobHandler } from './jobs/job-handler';
import type { QueryShape } from './mongo/explain';
import type { IndexedCollection } from './mongo/indexed-collection';
import type { Migration } from './mongo/migrations/migration';
import type { Logger } from './telemetry/logger';

/** A feature of the service. It shows itself through its index.ts, which creates this. */
export interface Module<Events> {
  readonly name: string;
  readonly routes: readonly Route[];
  /** Pages for people. */
  readonly pages?: RequestHandler;
  /** Its reactions to events of any module. */
  readonly subscribers?: Subscribers<Events>;
  /** How the module does its durable jobs, by their kinds. */
  readonly jobs?: Readonly<Record<string, JobHandler>>;
  readonly storage: ModuleStorage;
  readonly personalData?: PersonalData;
  /**
   * Removes its data about a removed user, or puts the pseudonym in its place. Runs more than
   * once, possibly in two processes at a time: idempotent, in bounded batches.
   */
  purge?(removal: Removal): Promise<void>;
}

export interface Removal {
  readonly userId: string;
  /** Random: links what remains about the user, and leads to nobody. */
  readonly pseudonym: string;
}

/** The data of a module about a user, for the user: no hash, token or other secret. */
export interface PersonalData {
  /** The sections by name, each an object or an array. */
  readonly schema: Readonly<Record<string, z.ZodType>>;
  /** Every section of the schema. An iterable is read as fast as the client receives it. */
  read(userId: string): Promise<Readonly<Record<string, PersonalSection>>>;
}

export type PersonalSection = object | AsyncIterable<object>;

/** The collections of a module. Known without creating the module. */
export interface ModuleStorage {
  /** Some depend on the settings. */
  indexes(config: Config): readonly IndexedCollection[];
  /** Every query that is not by `_id`, for `npm run explain` and its test. */
  queryShapes(connection: Connection, options: { timeoutMs: number }): QueryShape[];
  /** Changes of the form of its documents since the first version, oldest first. */
  readonly migrations?: readonly Migration[];
  /**
   * Throws ConfigError where the stored data and the settings do not go together; warns where they
   * hardly can be meant to.
   */
  check?(config: Config, connection: Connection, log: Logger): Promise<void>;
}
