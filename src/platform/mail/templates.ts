import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../kernel/config/config';
import { escapeHtml } from '../../kernel/html';

/** One kind of mail, as the module that sends it declares it. */
interface MailKind {
  /** The placeholders that its templates may use. */
  readonly placeholders: readonly string[];
  /** The placeholders that the text and the HTML must each use. */
  readonly required: readonly string[];
}

export type MailKinds<K extends string = string> = Readonly<Record<K, MailKind>>;

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

type Values = Readonly<Record<string, string>>;

export interface MailTemplates<K extends string> {
  /** `values` has every placeholder of the kind. */
  render(kind: K, to: string, values: Values): Mail;
}

interface Template {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const unescaped = (value: string): string => value;

const fill = (template: string, values: Values, encode: (value: string) => string): string =>
  template.replaceAll(/\{\{([a-z_]+)\}\}/g, (_, name: string) => encode(values[name] ?? ''));

/** False also where it cannot be looked at. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Reads `<kind>.txt` and `<kind>.html` of every kind. Throws one ConfigError that lists every fault
 * of the folder.
 */
export function loadMailTemplates<K extends string>(
  kinds: MailKinds<K>,
  folder: string,
): MailTemplates<K> {
  if (!isFolder(folder))
    throw faultsOfFolder([
      `must be a folder that exists and can be read: it is ${JSON.stringify(folder)}`,
    ]);
  const faults: string[] = [];
  const missing: string[] = [];
  const names = Object.keys(kinds) as K[];
  const templates = new Map(
    names.map((name) => [name, readTemplate({ folder, faults, missing }, name, kinds[name])]),
  );
  if (missing.length > 0) faults.unshift(`(${folder}) lacks ${someOf(missing)}`);
  if (faults.length > 0) throw faultsOfFolder(faults);
  return {
    render(kind, to, values) {
      const { subject, text, html } = templates.get(kind) as Template;
      return {
        to,
        subject: fill(subject, values, unescaped),
        text: fill(text, values, unescaped),
        html: fill(html, values, escapeHtml),
      };
    },
  };
}

const faultsOfFolder = (messages: readonly string[]) =>
  new ConfigError(messages.map((message) => ({ env: 'MAIL_TEMPLATES_DIR', message })));

const SHOWN = 5;
const someOf = (names: readonly string[]): string =>
  names.length <= SHOWN
    ? names.join(', ')
    : `${names.length} files: ${names.slice(0, SHOWN).join(', ')}, …`;

/** Collects the faults of the folder. */
interface Reading {
  readonly folder: string;
  readonly faults: string[];
  /** Names of files. */
  readonly missing: string[];
}

function readTemplate(reading: Reading, name: string, kind: MailKind): Template {
  const { faults } = reading;
  const plain = readTemplateFile(reading, `${name}.txt`, kind);
  const html = readTemplateFile(reading, `${name}.html`, kind) ?? '';
  const [, subject = '', text = ''] =
    /^Subject: ([^\r\n]+)\r?\n\r?\n([\s\S]+)$/.exec(plain ?? '') ?? [];
  if (plain !== undefined && text === '')
    faults.push(`holds ${name}.txt, which must begin with a line "Subject: …" and an empty line`);
  return { subject, text, html };
}

function readTemplateFile(
  { folder, faults, missing }: Reading,
  name: string,
  { placeholders, required }: MailKind,
): string | undefined {
  let content: string;
  try {
    content = readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') missing.push(name);
    else faults.push(`holds ${name}, which cannot be read (${code})`);
    return undefined;
  }
  const used = [...content.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, one = '']) => one);
  const unknown = used.filter((one) => !placeholders.includes(one));
  if (unknown.length > 0)
    faults.push(`holds ${name}, which uses ${braced(unknown)}; known are ${braced(placeholders)}`);
  const unused = required.filter((one) => !used.includes(one));
  if (unused.length > 0) faults.push(`holds ${name}, which must use ${braced(unused)}`);
  return content;
}

const braced = (names: readonly string[]): string => names.map((name) => `{{${name}}}`).join(', ');
