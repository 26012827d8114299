import { readFileSync } from 'node:fs';
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

/**
 * Reads `<kind>.txt` and `<kind>.html` of every kind. Throws one ConfigError that lists every fault
 * of the folder.
 */
export function loadMailTemplates<K extends string>(
  kinds: MailKinds<K>,
  folder: string,
): MailTemplates<K> {
  const faults: string[] = [];
  const names = Object.keys(kinds) as K[];
  const templates = new Map(
    names.map((name) => [name, readTemplate(folder, name, kinds[name], faults)]),
  );
  if (faults.length > 0)
    throw new ConfigError(faults.map((message) => ({ env: 'MAIL_TEMPLATES_DIR', message })));
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

function readTemplate(folder: string, name: string, kind: MailKind, faults: string[]): Template {
  const plain = readTemplateFile(folder, `${name}.txt`, kind, faults);
  const html = readTemplateFile(folder, `${name}.html`, kind, faults) ?? '';
  const [, subject = '', text = ''] =
    /^Subject: ([^\r\n]+)\r?\n\r?\n([\s\S]+)$/.exec(plain ?? '') ?? [];
  if (plain !== undefined && text === '')
    faults.push(`holds ${name}.txt, which must begin with a line "Subject: …" and an empty line`);
  return { subject, text, html };
}

function readTemplateFile(
  folder: string,
  name: string,
  { placeholders, required }: MailKind,
  faults: string[],
): string | undefined {
  const file = join(folder, name);
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    faults.push(`needs ${file}: ${(error as NodeJS.ErrnoException).code}`);
    return undefined;
  }
  const used = [...content.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, one = '']) => one);
  const unknown = used.filter((one) => !placeholders.includes(one));
  if (unknown.length > 0)
    faults.push(`holds ${name}, which uses ${braced(unknown)}; known are ${braced(placeholders)}`);
  const missing = required.filter((one) => !used.includes(one));
  if (missing.length > 0) faults.push(`holds ${name}, which must use ${braced(missing)}`);
  return content;
}

const braced = (names: readonly string[]): string => names.map((name) => `{{${name}}}`).join(', ');
