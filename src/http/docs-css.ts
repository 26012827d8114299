/** The docs page's stylesheet; served under a name that holds its hash, so that it can be cached for ever. */
export const DOCS_CSS = `
:root { color-scheme: light dark; --fg: #1c2430; --soft: #5d6b7e; --bg: #fff; --panel: #f5f7fa; --line: #dde3ea; --accent: #0b62d6;
  --get: #0a7d55; --post: #0b62d6; --put: #a15c00; --patch: #7a3fc2; --delete: #c02638; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e9f0; --soft: #97a5b8; --bg: #12161c; --panel: #1a2029; --line: #2c3542; --accent: #6ea8ff;
  --get: #4ccf9c; --post: #6ea8ff; --put: #f0a64b; --patch: #b78cf5; --delete: #ff7583; } }
* { box-sizing: border-box; }
body { margin: 0; display: grid; grid-template-columns: 19rem minmax(0, 1fr); font: 16px/1.55 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1.25rem; background: var(--panel); border-right: 1px solid var(--line); font-size: .85rem; }
nav .brand { font-weight: 650; font-size: 1rem; margin: 0 0 1rem; }
nav h2 { font-size: .72rem; text-transform: uppercase; letter-spacing: .08em; color: var(--soft); margin: 1.2rem 0 .3rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .18rem 0; color: inherit; text-decoration: none; overflow-wrap: anywhere; }
nav a:hover { color: var(--accent); }
nav b { display: inline-block; width: 3.6rem; font-size: .68rem; }
main { padding: 2.5rem clamp(1rem, 4vw, 4rem); max-width: 62rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; } h1 small { color: var(--soft); font-size: .9rem; font-weight: 400; }
.tag { margin: 3rem 0 0; text-transform: capitalize; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
section { padding: 1.5rem 0 1rem; border-bottom: 1px solid var(--line); scroll-margin-top: 1rem; }
h3 { margin: 0; font-size: 1.08rem; overflow-wrap: anywhere; } h4 { margin: 1rem 0 .3rem; font-size: .8rem; color: var(--soft); } h4 small { font-weight: 400; }
b.get, b.post, b.put, b.patch, b.delete { text-transform: uppercase; letter-spacing: .03em; font-size: .8em; }
b.get { color: var(--get); } b.post { color: var(--post); } b.put { color: var(--put); } b.patch { color: var(--patch); } b.delete { color: var(--delete); }
.lock { margin-left: .7rem; padding: .05rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .7rem; font-weight: 500; color: var(--soft); vertical-align: middle; }
code { font: .92em ui-monospace, Menlo, Consolas, monospace; } a { color: var(--accent); } sup { color: var(--delete); }
table { width: 100%; border-collapse: collapse; font-size: .88rem; } td { padding: .32rem .8rem .32rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; width: 11rem; } tr.s2 b, tr.s3 b { color: var(--get); } tr.s4 b { color: var(--put); } tr.s5 b { color: var(--delete); }
summary { cursor: pointer; color: var(--soft); font-size: .8rem; }
@media (max-width: 52rem) { body { display: block; } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); } td:first-child { width: auto; } }
@media print { nav { display: none; } body { display: block; } section { break-inside: avoid; } }
`.trimStart();
