/** What a PromQL expression reads: metrics with their label matchers, and labels that it groups by. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly {
    readonly label: string;
    readonly op: string;
    readonly value: string;
  }[];
}

const WORDS = new Set(['by', 'without', 'on', 'ignoring', 'or', 'and', 'unless', 'bool', 'offset']);
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;

/** Reads the expressions of this repository: no subqueries over names, no `__name__`. */
export function selectorsOf(expression: string): Selector[] {
  const text = expression.replaceAll('[$__rate_interval]', '[5m]').replaceAll(GROUPING, ' ');
  const found: Selector[] = [];
  for (const [, metric = '', body = ''] of text.matchAll(
    /(?<![\w:."~=])([a-zA-Z_:][\w:]*)(?![\w:]*\s*\()(?:\{((?:[^}"]|"[^"]*")*)\})?(?=[^\w:"]|$)/g,
  )) {
    if (WORDS.has(metric) || /^[smhd]$/.test(metric)) continue;
    const matchers = [...body.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
      ([, label = '', op = '', value = '']) => ({ label, op, value }),
    );
    found.push({ metric, matchers });
  }
  return found;
}

/** Labels of `by (…)` and its like. */
export const groupedLabels = (expression: string): string[] =>
  [...expression.matchAll(GROUPING)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The samples of Prometheus text. */
export const samplesOf = (text: string): Sample[] =>
  [...text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm)].map(
    ([, name = '', labels = '']) => ({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
          label,
          value,
        ]),
      ),
    }),
  );
