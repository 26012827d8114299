import { escapeHtml } from '../../../kernel/html';

/** Turns backticks into code and escapes everything else. */
export const inline = (text: string): string =>
  escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

export const jsonText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/** A folded example. Text is shown as it is, everything else as JSON. */
export const example = (value: unknown): string =>
  `<details><summary>Example</summary><pre class="example">${escapeHtml(
    typeof value === 'string' ? value : JSON.stringify(value, null, 2),
  )}</pre></details>`;
