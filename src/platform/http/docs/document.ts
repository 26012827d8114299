import type { OpenApi } from '../openapi/document';

/** The parts of an OpenAPI document that the documentation shows. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly readOnly?: boolean;
  readonly format?: string;
}

interface Media {
  readonly schema?: Schema;
  readonly example?: unknown;
}
export type Content = Readonly<Record<string, Media>>;

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

export interface Answer {
  readonly description: string;
  readonly content?: Content;
}

type OrRef<T> = T | { readonly $ref: string };

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly OrRef<Parameter>[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, OrRef<Answer>>>;
}

export interface OperationAt {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

export interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly operations: readonly OperationAt[];
  readonly schemas: Readonly<Record<string, Schema>>;
  /** Problems by code. */
  readonly examples: Readonly<Record<string, { readonly value: unknown }>>;
  readonly resolve: Resolve;
}

export type Resolve = <T>(one: OrRef<T>) => T;

export function readDocument(openApi: OpenApi): Document {
  const { info, tags, paths, components } = openApi as unknown as Pick<
    Document,
    'info' | 'tags'
  > & {
    paths: Record<string, Record<string, Operation>>;
    components: Pick<Document, 'schemas' | 'examples'>;
  };
  return {
    ...{ info, tags, schemas: components.schemas, examples: components.examples },
    operations: Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    ),
    /** References point to components, never to other references. */
    resolve<T>(one: OrRef<T>): T {
      if (typeof one !== 'object' || one === null || !('$ref' in one)) return one as T;
      const path = one.$ref.split('/').slice(1);
      return path.reduce<unknown>(
        (from, name) => (from as Record<string, unknown>)[name],
        openApi,
      ) as T;
    },
  };
}

export const nameOf = ({ $ref }: Pick<Schema, '$ref'>): string => $ref?.split('/').at(-1) ?? '';
