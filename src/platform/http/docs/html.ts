import { escapeHtml } from '../../../kernel/html';
import { FIELD_CODES, PROBLEM_CODES } from '../../../kernel/problem-codes';
import type { OpenApi } from '../openapi/document';
import {
  type Answer,
  type Document,
  type OperationAt,
  type Parameter,
  readDocument,
} from './document';
import { type Samples, SETUP, samplesOf } from './samples';
import { contentHtml, fieldsHtml, schemaHtml } from './schema';
import { example, inline } from './text';

export interface DocsLinks {
  readonly stylesheet: string;
  /** The page /docs/try is served. */
  readonly isTried: boolean;
}

/**
 * Renders the OpenAPI document as one static page: no script, no external resources, readable on a
 * phone and in print.
 */
export function renderDocs(openApi: OpenApi, { stylesheet, isTried }: DocsLinks): string {
  const document = readDocument(openApi);
  const { info, tags, operations, schemas } = document;
  const ofTag = (tag: string) => operations.filter(({ operation }) => operation.tags[0] === tag);
  const menu = tags.map(
    ({ name }) => `<h2>${escapeHtml(name)}</h2><ul>${ofTag(name).map(menuItem).join('')}</ul>`,
  );
  const sections = tags.map(
    ({ name, description }) =>
      `<h2 class="tag">${escapeHtml(name)}</h2><p>${inline(description)}</p>${ofTag(name)
        .map((at) => operationHtml(at, document))
        .join('')}`,
  );
  const links = [
    '<a href="/openapi.json">openapi.json</a> is the same contract in machine-readable form.',
    ...(isTried ? ['<a href="/docs/try">Try the operations</a> in this browser.'] : []),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="${escapeHtml(stylesheet)}"></head>
<body><a class="skip" href="#content">Skip to the content</a>
<form class="bar"><a class="open" href="#menu">Menu</a><fieldset><legend>Samples</legend>
<label><input type="radio" name="language" id="show-curl" checked> curl</label><label><input type="radio" name="language" id="show-javascript"> JavaScript</label></fieldset></form>
<nav id="menu" aria-label="Contents"><p class="brand">${escapeHtml(info.title)}</p><a class="open" href="#content">Close the menu</a>${menu.join('')}
<h2>reference</h2><ul><li><a href="#schemas">Schemas</a></li><li><a href="#codes">Problem codes</a></li></ul></nav>
<main id="content"><header><h1>${escapeHtml(info.title)} <small>${escapeHtml(info.version)}</small></h1><p>${inline(info.description)}</p>
<p>${links.join(' ')}</p><h2 class="small">Samples begin with</h2>${samplesHtml(SETUP)}</header>${sections.join('')}
<h2 class="tag" id="schemas">Schemas</h2>${Object.keys(schemas)
    .map((name) => namedSchemaHtml(name, document))
    .join('')}${codesHtml(document)}</main></body></html>
`;
}

const menuItem = ({ path, method, operation }: OperationAt): string =>
  `<li><a href="#${operation.operationId}"><b class="${method}">${method}</b> ${escapeHtml(path)}</a></li>`;

const samplesHtml = ({ curl, javascript }: Samples): string =>
  `<pre class="sample curl">${escapeHtml(curl)}</pre><pre class="sample javascript">${escapeHtml(javascript)}</pre>`;

function namedSchemaHtml(name: string, { schemas, resolve }: Document): string {
  const schema = schemas[name] ?? {};
  return `<section class="schema" id="schema-${escapeHtml(name)}"><h3><code>${escapeHtml(name)}</code></h3>${
    schema.description === undefined ? '' : `<p>${inline(schema.description)}</p>`
  }${schemaHtml(schema, resolve)}</section>`;
}

/** The codes of docs/problem-codes.md, with their examples. */
function codesHtml({ examples }: Document): string {
  const problems = Object.entries(PROBLEM_CODES).map(([code, { status, meaning }]) => {
    const { value } = examples[code] ?? {};
    return `<div class="code s${String(status)[0]}" id="code-${code}"><dt><code>${code}</code> <b>${status}</b></dt><dd>${inline(meaning)}${value === undefined ? '' : example(value)}</dd></div>`;
  });
  const fields = Object.entries(FIELD_CODES).map(
    ([code, meaning]) => `<div><dt><code>${code}</code></dt><dd>${inline(meaning)}</dd></div>`,
  );
  return `<h2 class="tag" id="codes">Problem codes</h2><p>Each code has one status. New codes may be added.</p><dl>${problems.join('')}</dl>
<h3>Codes of <code>errors</code></h3><p>The fault of one field: the field …</p><dl>${fields.join('')}</dl>`;
}

/** Parameters and statuses of every operation are left out of the single operations. */
const COMMON_PARAMETERS: ReadonlySet<string> = new Set(['X-Request-Id', 'traceparent']);
const COMMON_STATUSES: ReadonlySet<string> = new Set([
  '406',
  '408',
  '413',
  '415',
  '417',
  '431',
  '500',
]);

function operationHtml(at: OperationAt, document: Document): string {
  const { path, method, operation } = at;
  const schemes = [...new Set(operation.security.flatMap(Object.keys))];
  const locks = schemes.map((scheme) => `<span class="lock">${escapeHtml(scheme)}</span>`);
  const { requestBody, parameters, responses } = operation;
  const { resolve } = document;
  const own = parameters
    .map((one) => resolve<Parameter>(one))
    .filter(({ name }) => !COMMON_PARAMETERS.has(name))
    .map(({ name, in: where, required: isRequired, description, schema }) => ({
      ...{ name, where, isRequired },
      schema: description === undefined ? schema : { ...schema, description },
    }));
  const answers = Object.entries(responses)
    .filter(([status]) => !COMMON_STATUSES.has(status))
    .map(([status, one]) => answerHtml(status, resolve<Answer>(one), document));
  return `<section class="operation" id="${operation.operationId}"><h3><b class="${method}">${method}</b> <code>${escapeHtml(path)}</code>${locks.join('')}</h3>
<p>${inline(operation.summary)}. ${inline(operation.description)}</p>${samplesHtml(samplesOf(at, document))}${
    own.length === 0 ? '' : `<h4>Parameters</h4>${fieldsHtml(own)}`
  }${requestBody === undefined ? '' : `<h4>Body</h4>${contentHtml(requestBody.content, resolve)}`}<h4>Answers</h4><dl>${answers.join('')}</dl></section>`;
}

function answerHtml(status: string, { description, content = {} }: Answer, { resolve }: Document) {
  const { 'application/problem+json': problem, ...success } = content;
  const codes = problem?.schema?.allOf?.[1]?.properties?.['code']?.enum ?? [];
  const links = codes.map((code) => `<a href="#code-${code}"><code>${code}</code></a>`);
  const body =
    Object.keys(success).length === 0
      ? ''
      : `<details><summary>Body</summary>${contentHtml(success, resolve)}</details>`;
  return `<div class="s${status[0]}"><dt><b>${status}</b></dt><dd>${inline(description)} ${links.join(' ')}${body}</dd></div>`;
}
