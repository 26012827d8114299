import type { Setting } from './setting';

type Sections = Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>>;

/** The text of `.env.example`. */
export function environmentExample(sections: Sections): string {
  const blocks = Object.entries(sections).map(([name, section]) => {
    const lines = Object.values(section).map(
      (one) =>
        `# ${one.doc}\n${one.fallback === undefined ? '# ' : ''}${one.env}=${one.fallback ?? ''}`,
    );
    return `# --- ${name} ---\n\n${lines.join('\n\n')}\n`;
  });
  return `# Every setting, with its default. Copy to .env, or set in the environment (which wins).\n\n${blocks.join('\n')}`;
}

/** The Markdown of docs/configuration.md: one heading and one table per section. */
export function settingsTables(sections: Sections): string {
  const blocks = Object.entries(sections).map(
    ([name, section]) =>
      `\n## ${name.charAt(0).toUpperCase()}${name.slice(1)}\n\n| variable | default | meaning |\n|---|---|---|\n${Object.values(section).map(row).join('\n')}\n`,
  );
  return `${blocks.join('')}\n`;
}

function row({ env, fallback, doc }: Setting<unknown>): string {
  const shown = fallback === undefined ? '–' : `\`${fallback === '' ? ' ' : fallback}\``;
  return `| \`${env}\` | ${shown} | ${doc.replaceAll('|', '\\|')} |`;
}
