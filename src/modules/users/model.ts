import { type Connection, type Model, Schema, type Types } from 'mongoose';
import { foldEmail } from '../../kernel/fold';
import type { Role } from '../../kernel/permissions';
import { type PendingEvent, pendingIndex } from '../../platform/outbox/pending-event';
import { hasPendingEnds, PENDING_ENDS_INDEX, type PendingEndsMark } from './pending-ends-index';
import { listIndexes } from './search/index-table';

/** A session that was ended while access tokens of it may still be alive. */
interface RevokedSession {
  readonly sid: string;
  /** When the last access token of the session has expired. */
  readonly until: Date;
}

/**
 * The one session that outlived the last end of all others; `ver` is less than the user's session
 * version.
 */
export interface KeptSession {
  readonly sid: string;
  /** Its access tokens of this session version and later are still good. */
  readonly ver: number;
}

/** The job and the line of its file that wrote the user: a line is not done twice. */
export interface ImportMark {
  readonly job: Types.ObjectId;
  readonly line: number;
  /** The line's changes to an account that existed: clean-up follows, also after a crash. */
  readonly did?: readonly (
    | 'email'
    | 'emailVerified'
    | 'passwordHash'
    | 'role'
    | 'status'
    | 'mustChangePassword'
  )[];
  /** The members that it changed of such an account, for the audit log. */
  readonly members?: readonly string[];
}

/** JSON of a client; validated before it is stored. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface UserDocument {
  _id: Types.ObjectId;
  name: string;
  /** For sorting and prefix search: name folded by `foldName`. */
  nameKey: string;
  email: string;
  /** Unique: e-mail folded by `foldEmail`. */
  emailKey: string;
  /**
   * For `q`: `searchFields` of the name and the e-mail. Documents of earlier versions lack them
   * until the start of this one, and keep them where such a version writes the name
   * (migrations.ts).
   */
  searchKeys?: string[];
  searchText?: string;
  /** Of a name of more than six words; of an earlier name where such a version has written it. */
  searchAll?: string;
  /**
   * Whether the user has proven to read this address. Every write of another address sets it anew.
   */
  emailVerified: boolean;
  /** An earlier address was verified: factors and links are its owner's (ADR 12). */
  hadVerifiedEmail?: boolean;
  /** Only in documents without `emailVerified`, of an earlier version (migrations.ts). */
  verifiedEmailKey?: string;
  passwordHash: string;
  role: Role;
  status: 'active' | 'banned';
  /** Counts the changes that a client can see; the ETag is made of it. */
  rev: number;
  /** Access tokens of an older version are no longer accepted, but for the kept session's. */
  sessionVersion: number;
  keptSession?: KeptSession;
  revokedSessions: RevokedSession[];
  // Documents of earlier versions have none of the members from here to `createdAt`.
  /** Written by the user. Absent: `{}`, as for the other two. */
  userMetadata?: JsonObject;
  /** Read by the user, written by administrators and service accounts. */
  appMetadata?: JsonObject;
  /** For administrators, never for the user. */
  privateMetadata?: JsonObject;
  /** Unique: the id of the user in another system. */
  externalId?: string;
  /** Of the last login that was recorded: at most one an hour is. */
  lastLoginAt?: Date;
  bannedUntil?: Date;
  banReason?: string;
  mustChangePassword?: boolean;
  /** The session version that the present password began with. Absent: the first. */
  passwordVersion?: number;
  pendingEnds?: PendingEndsMark;
  /** Of the import that wrote the user last, with those before it that had not ended then. */
  importedBy?: ImportMark & { readonly before?: readonly ImportMark[] };
  /** Of writes, until they are in the event log. */
  outbox?: PendingEvent[];
  createdAt: Date;
  updatedAt: Date;
}

/** Of both forms of the document. */
export const isEmailVerified = (
  user: Pick<UserDocument, 'email' | 'verifiedEmailKey'> & Partial<UserDocument>,
): boolean =>
  user.emailVerified ??
  (user.verifiedEmailKey !== undefined && user.verifiedEmailKey === foldEmail(user.email));

export type UserModel = Model<UserDocument>;

export const USERS_COLLECTION = 'users';
export const EXTERNAL_ID_INDEX = 'external_id_unique';

const importMark = {
  _id: false,
  job: { type: Schema.Types.ObjectId },
  line: { type: Number },
  did: { type: [String], default: undefined },
  members: { type: [String], default: undefined },
} as const;

const schema = new Schema<UserDocument>(
  {
    name: { type: String, required: true },
    nameKey: { type: String, required: true },
    email: { type: String, required: true },
    emailKey: { type: String, required: true },
    searchKeys: { type: [String] },
    searchText: { type: String },
    searchAll: { type: String },
    emailVerified: { type: Boolean, required: true },
    hadVerifiedEmail: { type: Boolean },
    verifiedEmailKey: { type: String },
    passwordHash: { type: String, required: true },
    role: { type: String, required: true },
    status: { type: String, enum: ['active', 'banned'], required: true },
    rev: { type: Number, required: true },
    sessionVersion: { type: Number, required: true },
    keptSession: {
      type: {
        _id: false,
        sid: { type: String, required: true },
        ver: { type: Number, required: true },
      },
    },
    revokedSessions: {
      type: [
        {
          _id: false,
          sid: { type: String, required: true },
          until: { type: Date, required: true },
        },
      ],
      required: true,
    },
    userMetadata: { type: Schema.Types.Mixed },
    appMetadata: { type: Schema.Types.Mixed },
    privateMetadata: { type: Schema.Types.Mixed },
    externalId: { type: String },
    lastLoginAt: { type: Date },
    bannedUntil: { type: Date },
    banReason: { type: String },
    mustChangePassword: { type: Boolean },
    passwordVersion: { type: Number },
    pendingEnds: {
      type: {
        _id: false,
        mark: { type: String, required: true },
        all: { type: Boolean },
        sids: { type: [String], default: undefined },
      },
    },
    importedBy: {
      type: { ...importMark, before: { type: [importMark], default: undefined } },
    },
    outbox: { type: [Schema.Types.Mixed], default: undefined },
    createdAt: { type: Date, required: true, immutable: true },
    updatedAt: { type: Date, required: true },
  },
  {
    collection: USERS_COLLECTION,
    strict: 'throw',
    strictQuery: 'throw',
    versionKey: false,
    // An empty object within metadata stays one.
    minimize: false,
    autoIndex: false,
    autoCreate: false,
  },
);

export const userIndexes = {
  collection: USERS_COLLECTION,
  indexes: [
    { key: { emailKey: 1 }, name: 'email_unique', unique: true },
    {
      key: { externalId: 1 },
      name: EXTERNAL_ID_INDEX,
      unique: true,
      partialFilterExpression: { externalId: { $exists: true } },
    },
    ...listIndexes,
    {
      key: { bannedUntil: 1 },
      name: 'by_ban_end',
      partialFilterExpression: { bannedUntil: { $exists: true } },
    },
    pendingIndex,
    {
      key: { 'pendingEnds.mark': 1 },
      name: PENDING_ENDS_INDEX,
      partialFilterExpression: hasPendingEnds,
    },
  ],
} as const;

/** The same model each time for one connection. */
export function createUserModel(connection: Connection): UserModel {
  return (
    (connection.models['User'] as UserModel | undefined) ??
    connection.model<UserDocument>('User', schema)
  );
}
