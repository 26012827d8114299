import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../src/kernel/config/config';
import {
  loadAuthMailTemplates,
  MAIL_KINDS,
  type MailKind,
} from '../../../../src/modules/auth/recovery/mail-kinds';

const BUILT_IN = join(__dirname, '../../../../../templates/mail');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'templates-'));
  cpSync(BUILT_IN, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const VALUES = {
  site: 'a.example',
  code: '042917',
  link: 'https://a.example/account?a=1&b="2"#token=T',
  token: 'T<&>',
  valid_until: 'tomorrow',
};
const faultsOf = (directory: string) => {
  try {
    loadAuthMailTemplates(directory);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.faults.map(({ env, message }) => `${env} ${message}`);
    throw error;
  }
  return [];
};

const KINDS = Object.keys(MAIL_KINDS) as MailKind[];

test.each(KINDS)(
  '%s has a subject, a text and HTML, with every placeholder filled in and HTML escaped',
  (kind) => {
    const { to, subject, text, html } = loadAuthMailTemplates(undefined).render(
      kind,
      'ada@example.org',
      VALUES,
    );
    expect(to).toBe('ada@example.org');
    expect(subject).toMatch(/^[A-Z][^{}\n]+$/);
    for (const part of [text, html]) {
      expect(part).not.toContain('{{');
      expect(part).toContain('a.example');
    }
    const { placeholders } = MAIL_KINDS[kind];
    if (!placeholders.includes('link')) return;
    expect(text).toContain(`\n${VALUES.link}\n`);
    expect(html).toContain('href="https://a.example/account?a=1&amp;b=&quot;2&quot;#token=T"');
    expect(text).toContain(placeholders.includes('code') ? '\n042917\n' : 'The token is: T<&>\n');
    expect(html).toContain(placeholders.includes('code') ? '>042917<' : 'T&lt;&amp;&gt;');
  },
);

test("an operator's folder replaces the built-in one", () => {
  writeFileSync(
    join(folder, 'password-changed.txt'),
    'Subject: Neues Passwort\n\nGuten Tag,\n\nbei {{site}} gilt ein neues Passwort.\n',
  );
  const templates = loadAuthMailTemplates(folder);
  expect(templates.render('password-changed', 'ada@example.org', VALUES)).toMatchObject({
    subject: 'Neues Passwort',
    text: 'Guten Tag,\n\nbei a.example gilt ein neues Passwort.\n',
  });
  expect(templates.render('email-changed', 'ada@example.org', VALUES).subject).toBe(
    'Your e-mail address was changed',
  );
});

test('every fault of a folder is reported at once', () => {
  rmSync(join(folder, 'email-changed.html'));
  writeFileSync(
    join(folder, 'verify-email.txt'),
    'Subject: Hello\n\nClick {{linc}} or {{link}}.\n',
  );
  writeFileSync(join(folder, 'reset-password.html'), '<p>{{token}}</p>');
  writeFileSync(join(folder, 'password-changed.txt'), 'Hello,\n\nno subject.\n');
  writeFileSync(
    join(folder, 'change-email.html'),
    readFileSync(join(folder, 'change-email.html'), 'utf8').replace('{{site}}', '{{name}}'),
  );
  const faults = faultsOf(folder).join('\n');
  expect(faults).toMatch(/^MAIL_TEMPLATES_DIR .*lacks email-changed\.html$/m);
  expect(faults).toMatch(/verify-email\.txt, which uses \{\{linc\}\}/);
  expect(faults).toMatch(/reset-password\.html, which must use \{\{link\}\}/);
  expect(faults).toMatch(/password-changed\.txt, which must begin with a line "Subject: …"/);
  expect(faults).toMatch(/change-email\.html, which uses \{\{name\}\}/);
  // One, not one for each file.
  expect(faultsOf(join(folder, 'nowhere'))).toEqual([
    expect.stringMatching(/^MAIL_TEMPLATES_DIR must be a folder that exists/),
  ]);
});

test('the README of the folder documents every kind and every placeholder', () => {
  const readme = readFileSync(join(BUILT_IN, 'README.md'), 'utf8');
  for (const name of MAIL_KINDS['verify-email'].placeholders)
    expect(readme).toContain(`- \`{{${name}}}\`: `);
  for (const kind of KINDS) expect(readme).toContain(`| \`${kind}\``);
});
