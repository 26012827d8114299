// Draws a terminal session as an animated SVG without scripts: each line appears at its time, and a viewer that does not animate
// shows them all.
const FONT_PX = 13;
const LINE_PX = 19;
const CHARACTER_PX = 7.83;
const [LEFT_PX, TOP_PX, BAR_PX] = [16, 18, 30];
/** Longer pauses are shortened: nobody waits for a start in a picture. */
const PAUSE_MAX_MS = 1500;
const COLOURS = {
  command: '#7ee787',
  more: '#7ee787',
  output: '#c9d1d9',
  comment: '#8b949e',
  good: '#79c0ff',
};

const escaped = (text) =>
  text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]);

/** `lines`: `{ atMs, kind, text }`, kind one of the colours. */
export function terminalSvg(lines, { title, columns = 104 }) {
  let [shownMs, lastMs] = [400, lines[0].atMs];
  const rows = lines.map(({ atMs, kind, text }, index) => {
    shownMs += Math.min(PAUSE_MAX_MS, Math.max(atMs - lastMs, kind === 'command' ? 700 : 60));
    lastMs = atMs;
    const y = BAR_PX + TOP_PX + index * LINE_PX + FONT_PX;
    const prompt = kind === 'command' ? '$ ' : '';
    return `<text x="${LEFT_PX}" y="${y}" fill="${COLOURS[kind]}" style="animation-delay:${(shownMs / 1000).toFixed(2)}s">${escaped(prompt + text)}</text>`;
  });
  const width = Math.ceil(2 * LEFT_PX + columns * CHARACTER_PX);
  const height = BAR_PX + 2 * TOP_PX + lines.length * LINE_PX;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<style>
text{font:${FONT_PX}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;animation:appear .05s linear backwards}
@keyframes appear{from{opacity:0}to{opacity:1}}
@media (prefers-reduced-motion:reduce){text{animation:none}}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<rect width="${width}" height="${BAR_PX}" rx="8" fill="#21262d"/>
<circle cx="18" cy="15" r="5" fill="#ff5f57"/><circle cx="36" cy="15" r="5" fill="#febc2e"/><circle cx="54" cy="15" r="5" fill="#28c840"/>
${rows.join('\n')}
</svg>
`;
}
