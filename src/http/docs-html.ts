import type { OpenApi } from './openapi';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly format?: string;
}

interface Content {
  readonly [mediaType: string]: { readonly schema?: Schema };
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly unknown[];
  readonly parameters: readonly { name: string; in: string; required: boolean; description?: string; schema: Schema }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => ESCAPES[c] ?? c);

/** The contract as one static page: no script, nothing from elsewhere, readable on a phone and on paper. */
export function renderDocs(openApi: OpenApi, stylesheet: string): string {
  const info = openApi['info'] as { title: string; version: string; description: string };
  const paths = openApi['paths'] as Record<string, Record<string, Operation>>;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.map(({ operation }) => operation.tags[0] ?? 'other'))];
  const ofTag = (tag: string) => operations.filter(({ operation }) => operation.tags[0] === tag);

  const menu = tags.map(
    (tag) =>
      `<h2>${escapeHtml(tag)}</h2><ul>${ofTag(tag)
        .map(
          ({ path, method, operation }) =>
            `<li><a href="#${operation.operationId}"><b class="${method}">${method}</b> ${escapeHtml(path)}</a></li>`,
        )
        .join('')}</ul>`,
  );
  const sections = tags.map((tag) => `<h2 class="tag">${escapeHtml(tag)}</h2>${ofTag(tag).map(operationHtml).join('')}`);

  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="${escapeHtml(stylesheet)}"></head>
<body><nav aria-label="Operations"><p class="brand">${escapeHtml(info.title)}</p>${menu.join('')}</nav>
<main><header><h1>${escapeHtml(info.title)} <small>${escapeHtml(info.version)}</small></h1><p>${inline(info.description)}</p>
<p><a href="/openapi.json">openapi.json</a> — the same contract for programs.</p></header>${sections.join('')}</main></body></html>
`;
}

/** Backticks become code; everything else is text. */
const inline = (text: string): string => escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function operationHtml({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const lock = operation.security.length > 0 ? '<span class="lock" title="needs an access token">bearer</span>' : '';
  return `<section id="${operation.operationId}"><h3><b class="${method}">${method}</b> <code>${escapeHtml(path)}</code>${lock}</h3>
<p>${inline(operation.summary)}</p>${parametersHtml(operation)}${bodyHtml(operation)}${answersHtml(operation)}</section>`;
}

function parametersHtml({ parameters }: Operation): string {
  if (parameters.length === 0) return '';
  const rows = parameters.map(
    ({ name, in: where, required, description = '', schema }) =>
      `<tr><td><code>${escapeHtml(name)}</code>${required ? '<sup>*</sup>' : ''}</td><td>${where}</td><td>${typeOf(schema)}</td><td>${inline(description)}</td></tr>`,
  );
  return `<h4>Parameters</h4><table>${rows.join('')}</table>`;
}

function bodyHtml({ requestBody }: Operation): string {
  const [mediaType, { schema } = {}] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  return schema === undefined ? '' : `<h4>Body <small>${mediaType}</small></h4>${propertiesHtml(schema)}`;
}

function propertiesHtml({ properties = {}, required = [] }: Schema): string {
  const rows = Object.entries(properties).map(
    ([name, one]) =>
      `<tr><td><code>${escapeHtml(name)}</code>${required.includes(name) ? '<sup>*</sup>' : ''}</td><td>${typeOf(one)}</td><td>${inline(one.description ?? '')}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}

function answersHtml({ responses }: Operation): string {
  const rows = Object.entries(responses).map(([status, { description, content = {} }]) => {
    const schema = status < '400' ? content['application/json']?.schema : undefined;
    const detail = schema?.properties === undefined ? '' : `<details><summary>fields</summary>${propertiesHtml(schema)}</details>`;
    return `<tr class="s${status[0]}"><td><b>${status}</b></td><td>${inline(description)}${detail}</td></tr>`;
  });
  return `<h4>Answers</h4><table>${rows.join('')}</table>`;
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return escapeHtml(schema.$ref.split('/').at(-1) ?? '');
  if (schema.enum !== undefined) return schema.enum.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(' ');
  if (schema.const !== undefined) return `<code>${escapeHtml(String(schema.const))}</code>`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array')
    return `list of ${schema.items?.properties === undefined ? typeOf(schema.items ?? {}) : Object.keys(schema.items.properties).join(', ')}`;
  const { minLength, maxLength } = schema;
  const range = maxLength === undefined ? '' : ` <small>${minLength ?? 0}–${maxLength}</small>`;
  return `${escapeHtml(schema.format ?? String(schema.type ?? 'any'))}${range}`;
}
