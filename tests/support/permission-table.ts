import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isPermission, type Permission } from '../../src/kernel/permissions';

/** What a caller without the permission may do. */
type Without = 'everyone' | 'every user' | 'the user itself' | 'nobody';

/** One operation of the API. */
export interface PermissionRow {
  readonly method: string;
  /** `/api/users/:id` */
  readonly path: string;
  readonly permission: Permission | undefined;
  readonly without: Without;
}

interface Operation {
  readonly security: readonly object[];
  readonly 'x-permission'?: Permission;
  readonly 'x-own'?: true;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

const PAGE = resolve(__dirname, '../../../docs/permissions.md');
const ROW = /^\| `([A-Z]+) (\S+)` \| (?:`([a-z_:]+)`|–) \| ([a-z ]+) \|$/;

/** The lines of the table in docs/permissions.md. */
export const documentedRows = (): string[] =>
  readFileSync(PAGE, 'utf8')
    .split('\n')
    .filter((line) => /^\| `[A-Z]+ \//.test(line));

export function readRow(line: string): PermissionRow {
  const [, method, path, permission, without] = ROW.exec(line) ?? [];
  if (method === undefined || path === undefined) throw new Error(`not a row: ${line}`);
  if (permission !== undefined && !isPermission(permission)) throw new Error(`unknown: ${line}`);
  return { method, path, permission, without: without as Without };
}

/** The lines that the table must have. */
export function rowsOf({ paths }: { paths: Paths }): string[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => {
      const name = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
      const permission = operation['x-permission'];
      const shown = permission === undefined ? '–' : `\`${permission}\``;
      return `| \`${name}\` | ${shown} | ${withoutOf(operation)} |`;
    }),
  );
}

function withoutOf(operation: Operation): Without {
  const isPublic = !operation.security.some((one) => 'bearer' in one);
  if (operation['x-permission'] === undefined) return isPublic ? 'everyone' : 'every user';
  return operation['x-own'] === true ? 'the user itself' : 'nobody';
}
