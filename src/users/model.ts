import { type Connection, type Model, Schema, type Types } from 'mongoose';
import { ROLES, type Role } from './roles';

/** A session that was ended while access tokens of it may still be alive. */
export interface RevokedSession {
  readonly sid: string;
  /** When the last access token of the session has expired. */
  readonly until: Date;
}

/** The one session that outlived the last end of all others; `ver` is less than the user's session version. */
export interface KeptSession {
  readonly sid: string;
  /** Its access tokens of this session version and later are still good. */
  readonly ver: number;
}

export interface UserDocument {
  _id: Types.ObjectId;
  name: string;
  /** For sorting and prefix search: name folded by `foldName`. */
  nameKey: string;
  email: string;
  /** Unique: e-mail folded by `foldEmail`. */
  emailKey: string;
  /** The address that was proven to be the user's. Verified is who has it equal to `emailKey`: a change needs no second write. */
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
  createdAt: Date;
  updatedAt: Date;
}

export type UserModel = Model<UserDocument>;

export const USERS_COLLECTION = 'users';

const schema = new Schema<UserDocument>(
  {
    name: { type: String, required: true },
    nameKey: { type: String, required: true },
    email: { type: String, required: true },
    emailKey: { type: String, required: true },
    verifiedEmailKey: { type: String },
    passwordHash: { type: String, required: true },
    role: { type: String, enum: ROLES, required: true },
    status: { type: String, enum: ['active', 'banned'], required: true },
    rev: { type: Number, required: true },
    sessionVersion: { type: Number, required: true },
    keptSession: { type: { _id: false, sid: { type: String, required: true }, ver: { type: Number, required: true } } },
    revokedSessions: {
      type: [{ _id: false, sid: { type: String, required: true }, until: { type: Date, required: true } }],
      required: true,
    },
    createdAt: { type: Date, required: true, immutable: true },
    updatedAt: { type: Date, required: true },
  },
  { collection: USERS_COLLECTION, strict: 'throw', strictQuery: 'throw', versionKey: false, autoIndex: false, autoCreate: false },
);

/** Each sort has its index, alone and after `role`; `_id` makes every order total, which keyset paging needs. */
schema.index({ emailKey: 1 }, { unique: true, name: 'email_unique' });
schema.index({ createdAt: 1, _id: 1 }, { name: 'by_created' });
schema.index({ nameKey: 1, _id: 1 }, { name: 'by_name' });
schema.index({ emailKey: 1, _id: 1 }, { name: 'by_email' });
schema.index({ role: 1, createdAt: 1, _id: 1 }, { name: 'by_role_created' });
schema.index({ role: 1, nameKey: 1, _id: 1 }, { name: 'by_role_name' });
schema.index({ role: 1, emailKey: 1, _id: 1 }, { name: 'by_role_email' });

/** The same model each time for one connection. */
export function createUserModel(connection: Connection): UserModel {
  return (connection.models['User'] as UserModel | undefined) ?? connection.model<UserDocument>('User', schema);
}

/** Same letters, same account: compatibility forms and case are folded, nothing else (no dots or +tags are dropped). */
export const foldEmail = (email: string): string => email.normalize('NFKC').toLowerCase();

export const foldName = (name: string): string => name.normalize('NFKC').toLowerCase();
