import { z } from 'zod';

type JsonSchema = { readonly [keyword: string]: unknown };
type SchemaOf = (schema: z.ZodType, io: 'input' | 'output') => JsonSchema;

export interface Components {
  readonly schemas: Readonly<Record<string, JsonSchema>>;
  readonly schemaOf: SchemaOf;
  readonly exampleOf: (schema: JsonSchema) => unknown;
}

const INT32_MAX = 2_147_483_647;
/** The format of this service: UTC, in milliseconds. */
const DATE_TIME_CHARS = 24;

/** Adds keywords that zod does not write, and removes the long pattern of date-time. */
function complete(schema: Record<string, unknown>): void {
  const { type, format, minimum, maximum } = schema;
  if (type === 'integer')
    schema['format'] ??=
      Number(maximum) > INT32_MAX || Number(minimum) < -INT32_MAX ? 'int64' : 'int32';
  if (type === 'string' && format === 'date-time') {
    delete schema['pattern'];
    schema['maxLength'] ??= DATE_TIME_CHARS;
  }
}

/**
 * Converts zod schemas. A schema with an id is placed once under components; the others are inline.
 */
export function createComponents(): Components {
  const schemas: Record<string, JsonSchema> = {};

  /** Under way: an example of a schema that contains itself ends there. */
  const open = new Set<string>();

  function exampleNamed(reference: string): unknown {
    if (open.has(reference)) return undefined;
    open.add(reference);
    const example = exampleOf(schemas[reference.split('/').at(-1) ?? ''] ?? {});
    open.delete(reference);
    return example;
  }

  function exampleOf(schema: JsonSchema): unknown {
    if (typeof schema['$ref'] === 'string') return exampleNamed(schema['$ref']);
    const {
      examples,
      enum: values,
      oneOf,
      anyOf,
    } = schema as { [keyword: string]: JsonSchema[] | undefined };
    const given = [examples?.[0], values?.[0], schema['const'], schema['default']].find(
      (one) => one !== undefined,
    );
    if (given !== undefined) return given;
    const [first] = oneOf ?? anyOf ?? [];
    return first === undefined ? exampleOfType(schema) : exampleOf(first);
  }

  function exampleOfType({ type, format, minimum, items, properties = {} }: JsonSchema): unknown {
    switch (type) {
      case 'object':
        return Object.fromEntries(
          Object.entries(properties as Record<string, JsonSchema>)
            .filter(([, one]) => one['readOnly'] !== true)
            .map(([name, one]) => [name, exampleOf(one)]),
        );
      case 'array':
        return [exampleOf(items as JsonSchema)].filter((one) => one !== undefined);
      case 'integer':
        return Math.max(1, Number(minimum ?? 1));
      case 'boolean':
        return true;
      default:
        return format === 'date-time' ? '2026-01-31T12:00:00.000Z' : 'text';
    }
  }

  return {
    schemas,
    exampleOf,
    schemaOf(schema, io) {
      const made = z.toJSONSchema(schema, {
        target: 'draft-2020-12',
        ...{ io, unrepresentable: 'any', reused: 'inline' },
        override: ({ jsonSchema }) => complete(jsonSchema as Record<string, unknown>),
      });
      const moved = JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/');
      const {
        $schema: _,
        $defs = {},
        ...rest
      } = JSON.parse(moved) as Record<string, unknown> & { $defs?: Record<string, object> };
      for (const [id, { id: __, ...definition }] of Object.entries($defs) as [
        string,
        Record<string, unknown>,
      ][]) {
        if (
          schemas[id] !== undefined &&
          JSON.stringify(schemas[id]) !== JSON.stringify(definition)
        ) {
          throw new Error(`two schemas have the id ${id}`);
        }
        schemas[id] = definition;
      }
      return rest;
    },
  };
}
