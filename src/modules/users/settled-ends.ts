import { Problem } from '../../kernel/errors';
import type { UserService } from './service';

/** Resolves when no verifier of another service accepts the ended tokens of these users. */
export type TokensEnded = (userIds: readonly string[]) => Promise<void>;

/**
 * Methods that may end tokens resolve when these are refused everywhere. Also where nothing was
 * left to do: a repeat must not acknowledge what the first attempt could not.
 */
export function settlingEnds(service: UserService, tokensEnded: TokensEnded): UserService {
  const settled =
    <A extends readonly unknown[], R>(call: (id: string, ...rest: A) => Promise<R>) =>
    async (id: string, ...rest: A): Promise<R> => {
      const result = await call(id, ...rest);
      await tokensEnded([id]);
      return result;
    };
  return {
    ...service,
    async change(actor, id, changes, options) {
      const user = await service.change(actor, id, changes, options);
      if (changes.role !== undefined) await tokensEnded([id]);
      return user;
    },
    async remove(actor, id, ...rest) {
      await service.remove(actor, id, ...rest).catch(async (error: unknown) => {
        // A client that repeats a removal takes this for its success.
        if (error instanceof Problem && error.status === 404) await tokensEnded([id]);
        throw error;
      });
      await tokensEnded([id]);
    },
    async ban(actor, id, ...rest) {
      const user = await service.ban(actor, id, ...rest);
      await tokensEnded([id]);
      return user;
    },
    async requirePasswordChange(actor, id, options) {
      const user = await service.requirePasswordChange(actor, id, options);
      if (options.endSessions) await tokensEnded([id]);
      return user;
    },
    setPassword: settled(service.setPassword),
    resetPassword: settled(service.resetPassword),
    replacePassword: settled(service.replacePassword),
    changePassword: settled(service.changePassword),
    endSessions: settled(service.endSessions),
    revokeSessions: settled(service.revokeSessions),
  };
}
