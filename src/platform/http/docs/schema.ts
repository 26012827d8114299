import { escapeHtml } from '../../../kernel/html';
import { type Content, nameOf, type Resolve, type Schema } from './document';
import { example, inline, jsonText } from './text';

/** A row of a list of fields: a member of an object, or a parameter. */
export interface Field {
  readonly name: string;
  readonly isRequired: boolean;
  readonly where?: string;
  readonly schema: Schema;
}

export const fieldsHtml = (fields: readonly Field[]): string =>
  fields.length === 0 ? '' : `<dl>${fields.map(fieldHtml).join('')}</dl>`;

function fieldHtml({ name, isRequired, where, schema }: Field): string {
  const notes = [
    ...(where === undefined ? [] : [where]),
    ...(isRequired ? ['<em>required</em>'] : []),
    ...(schema.readOnly === true ? ['read-only'] : []),
  ];
  const text = [inline(schema.description ?? ''), exampleOf(schema)].filter(Boolean).join(' ');
  return `<div><dt><code>${escapeHtml(name)}</code> <small>${[typeOf(schema), ...notes].join(' · ')}</small></dt><dd>${text}</dd></div>`;
}

const exampleOf = ({ examples = [] }: Schema): string =>
  examples.length === 0
    ? ''
    : `<small class="eg">e.g. ${examples.map((one) => `<code>${escapeHtml(jsonText(one))}</code>`).join(', ')}</small>`;

/** The members of an object, with those of the objects within: `position.line`, `data[].id`. */
function membersOf(schema: Schema, prefix = ''): readonly Field[] {
  const { properties = {}, required = [], additionalProperties } = schema;
  const others =
    typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0
      ? [{ name: `${prefix}*`, isRequired: false, schema: additionalProperties }]
      : [];
  const own = Object.entries(properties).flatMap(([name, one]) => [
    { name: `${prefix}${name}`, isRequired: required.includes(name), schema: one },
    ...fieldsWithin(one, `${prefix}${name}`),
  ]);
  return [...own, ...others];
}

function fieldsWithin(schema: Schema, name: string): readonly Field[] {
  if (schema.properties !== undefined) return membersOf(schema, `${name}.`);
  if (schema.items !== undefined) return fieldsWithin(schema.items, `${name}[]`);
  return (schema.anyOf ?? schema.oneOf ?? schema.allOf ?? []).flatMap((one) =>
    fieldsWithin(one, name),
  );
}

const CHOICES = { oneOf: 'One of:', anyOf: 'One of:', allOf: 'All of:' } as const;

/** A schema with its references resolved; `within` are the references that lead to it. */
export function schemaHtml(
  schema: Schema,
  resolve: Resolve,
  within: readonly string[] = [],
): string {
  const inner = (one: Schema) => schemaHtml(one, resolve, within);
  if (schema.$ref !== undefined) {
    const name = `<p>${typeOf(schema)}</p>`;
    // A form that contains itself: its link says the rest.
    if (within.includes(schema.$ref)) return name;
    return name + schemaHtml(resolve<Schema>(schema), resolve, [...within, schema.$ref]);
  }
  for (const [key, text] of Object.entries(CHOICES)) {
    const forms = schema[key as keyof typeof CHOICES];
    if (forms === undefined) continue;
    const items = forms.map((one) => `<li>${inner(one)}</li>`);
    return `<p>${text}</p><ol class="forms">${items.join('')}</ol>`;
  }
  if (schema.items !== undefined) return `<p>A list of:</p>${inner(schema.items)}`;
  if (schema.properties === undefined && schema.type !== 'object')
    return `<p><small>${typeOf(schema)}</small> ${inline(schema.description ?? '')} ${exampleOf(schema)}</p>`;
  const fields = membersOf(schema);
  return fields.length === 0 ? '<p>An object of any members.</p>' : fieldsHtml(fields);
}

/** Each media type with its example; the schema once where they share it. */
export function contentHtml(content: Content, resolve: Resolve): string {
  const shown = new Set<string>();
  return Object.entries(content)
    .map(([type, { schema = {}, example: value }]) => {
      const text = JSON.stringify(schema);
      const html = shown.has(text) ? '' : schemaHtml(schema, resolve);
      shown.add(text);
      return `<p class="media"><code>${escapeHtml(type)}</code></p>${html}${value === undefined ? '' : example(value)}`;
    })
    .join('');
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined)
    return `<a href="#schema-${nameOf(schema)}">${escapeHtml(nameOf(schema))}</a>`;
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(' ');
  if (schema.const !== undefined) return `<code>${escapeHtml(String(schema.const))}</code>`;
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms !== undefined) return [...new Set(forms.map(typeOf))].join(' or ');
  if (schema.allOf !== undefined) return schema.allOf.map(typeOf).join(' and ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}${itemsOf(schema)}`;
  const { type = 'any', format } = schema;
  const name = type === 'integer' || format === undefined ? [type].flat().join(' or ') : format;
  return [escapeHtml(name), ...limitsOf(schema)].join(', ');
}

/** The bound in the document for values without a bound of their own. */
const NO_LIMIT = 2_147_483_647;
/** Longer patterns tell a reader nothing that the description does not. */
const PATTERN_MAX_CHARACTERS = 48;

const range = (from: number | undefined, to: number | undefined): string =>
  to === undefined || to >= NO_LIMIT ? '' : `${from === to ? '' : `${from ?? 0}–`}${to}`;

const itemsOf = ({ minItems, maxItems }: Schema): string => {
  const text = range(minItems, maxItems);
  return text === '' ? '' : ` (${text})`;
};

function limitsOf(schema: Schema): readonly string[] {
  const { minLength, maxLength, minimum, maximum, pattern, default: fallback } = schema;
  const limit = maxLength === undefined ? range(minimum, maximum) : range(minLength, maxLength);
  return [
    ...(limit === '' ? [] : [maxLength === undefined ? limit : `${limit} characters`]),
    ...(pattern === undefined || pattern.length > PATTERN_MAX_CHARACTERS
      ? []
      : [`<code>${escapeHtml(pattern)}</code>`]),
    ...(fallback === undefined ? [] : [`default <code>${escapeHtml(jsonText(fallback))}</code>`]),
  ];
}
