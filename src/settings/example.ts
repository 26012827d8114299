import type { Setting } from './setting';

type Sections = Readonly<Record<string, Readonly<Record<string, Setting<unknown>>>>>;

/** The text of `.env.example`, from the tables themselves. */
export function environmentExample(sections: Sections): string {
  const blocks = Object.entries(sections).map(([name, section]) => {
    const lines = Object.values(section).map(
      (one) => `# ${one.doc}\n${one.fallback === undefined ? '# ' : ''}${one.env}=${one.fallback ?? ''}`,
    );
    return `# --- ${name} ---\n\n${lines.join('\n\n')}\n`;
  });
  return `# Every setting, with its default. Copy to .env, or set in the environment (which wins).\n\n${blocks.join('\n')}`;
}

/** The same as the README's table. */
export function settingsTable(sections: Sections): string {
  const rows = Object.values(sections).flatMap((section) =>
    Object.values(section).map(
      (one) =>
        `| \`${one.env}\` | ${one.fallback === undefined ? '–' : `\`${one.fallback === '' ? ' ' : one.fallback}\``} | ${one.doc.replaceAll('|', '\\|')} |`,
    ),
  );
  return `| variable | default | meaning |\n|---|---|---|\n${rows.join('\n')}\n`;
}
