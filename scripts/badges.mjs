// Draws docs/pictures/badges.svg from what the files of the project say; tests/docs.test.ts compares them. No badge comes from another host.
import { readFileSync, writeFileSync } from 'node:fs';

const { engines, license } = JSON.parse(readFileSync('package.json', 'utf8'));
const openApi = /openapi: '([\d.]+)'/.exec(
  readFileSync('src/platform/http/openapi/document.ts', 'utf8'),
)[1];
const badges = [
  ['Node.js', engines.node.replace('>=', '≥ ')],
  ['OpenAPI', openApi],
  ['licence', license],
];

const CHARACTER = 6.6;
const PADDING = 14;
const widthOf = (text) => Math.round(text.length * CHARACTER + PADDING);
let x = 0;
const drawn = badges.map(([name, value]) => {
  const [left, right] = [widthOf(name), widthOf(value)];
  const at = x;
  x += left + right + 6;
  return `<g transform="translate(${at})"><rect width="${left}" height="20" fill="#444c56"/><rect x="${left}" width="${right}" height="20" fill="#0b6e4f"/><text x="${left / 2}" y="14">${name}</text><text x="${left + right / 2}" y="14">${value}</text></g>`;
});
const label = badges.map(([name, value]) => `${name} ${value}`).join(', ');
writeFileSync(
  'docs/pictures/badges.svg',
  `<svg xmlns="http://www.w3.org/2000/svg" width="${x - 6}" height="20" role="img" aria-label="${label}">
<style>text{font:11px Verdana,DejaVu Sans,sans-serif;fill:#fff;text-anchor:middle}</style>
${drawn.join('\n')}
</svg>
`,
);
