/**
 * Stylesheet of the documentation page. Its URL contains its hash, so browsers cache it without
 * revalidation.
 */
export const DOCS_CSS = `
:root { color-scheme: light dark; --fg: #1c2430; --soft: #566273; --bg: #fff; --panel: #f5f7fa; --line: #dde3ea; --accent: #0b5cc9;
  --get: #0a7048; --post: #0b5cc9; --put: #8f5200; --patch: #7a3fc2; --delete: #b81f33; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e9f0; --soft: #9fadbf; --bg: #12161c; --panel: #1a2029; --line: #2c3542; --accent: #6ea8ff;
  --get: #4ccf9c; --post: #6ea8ff; --put: #f0a64b; --patch: #b78cf5; --delete: #ff7583; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; }
body { margin: 0; display: grid; grid-template-columns: 19rem minmax(0, 1fr); font: 16px/1.55 system-ui, sans-serif; color: var(--fg); background: var(--bg); overflow-wrap: anywhere; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; z-index: 3; padding: .2rem .6rem; background: var(--bg); }
.bar { position: sticky; top: 0; z-index: 1; grid-column: 1 / -1; display: flex; align-items: center; justify-content: end; gap: 1.2rem; height: 2.8rem; padding: 0 clamp(1rem, 4vw, 2rem); background: var(--panel); border-bottom: 1px solid var(--line); font-size: .85rem; }
.bar fieldset { display: flex; gap: .9rem; margin: 0; padding: 0; border: 0; } .bar legend { float: left; margin-right: .9rem; padding: 0; color: var(--soft); }
.bar .open { margin-right: auto; } .open { display: none; }
nav { position: sticky; top: 2.8rem; height: calc(100vh - 2.8rem); overflow-y: auto; padding: 1.5rem 1.25rem; background: var(--panel); border-right: 1px solid var(--line); font-size: .85rem; }
nav .brand { font-weight: 650; font-size: 1rem; margin: 0 0 1rem; }
nav h2 { font-size: .72rem; text-transform: uppercase; letter-spacing: .08em; color: var(--soft); margin: 1.2rem 0 .3rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: block; padding: .18rem 0 .18rem 3.9rem; color: inherit; text-decoration: none; text-indent: -3.9rem; }
nav li a:hover { color: var(--accent); }
nav b { display: inline-block; width: 3.6rem; font-size: .68rem; text-indent: 0; }
main { padding: 2.5rem clamp(1rem, 4vw, 4rem); max-width: 62rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; } h1 small { color: var(--soft); font-size: .9rem; font-weight: 400; }
.tag { margin: 3rem 0 0; border-bottom: 1px solid var(--line); padding-bottom: .3rem; } .tag::first-letter { text-transform: uppercase; }
section { padding: 1.5rem 0 1rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1.08rem; } h4, .small { margin: 1rem 0 .3rem; font-size: .8rem; color: var(--soft); }
b.get, b.post, b.put, b.patch, b.delete { text-transform: uppercase; letter-spacing: .03em; font-size: .8em; }
b.get { color: var(--get); } b.post { color: var(--post); } b.put { color: var(--put); } b.patch { color: var(--patch); } b.delete { color: var(--delete); }
.lock { display: inline-block; margin-left: .7rem; padding: .05rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .7rem; font-weight: 500; color: var(--soft); vertical-align: middle; }
code { font: .92em ui-monospace, Menlo, Consolas, monospace; } a { color: var(--accent); } small { color: var(--soft); font-size: .85em; } small em { font-style: normal; color: var(--delete); }
pre { margin: .6rem 0; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: .4rem; background: var(--panel); font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; }
body:has(#show-javascript:checked) .curl, body:not(:has(#show-javascript:checked)) .javascript { display: none; }
dl { margin: 0; font-size: .88rem; } dl > div { display: grid; grid-template-columns: 18rem minmax(0, 1fr); gap: 0 1rem; padding: .35rem 0; border-top: 1px solid var(--line); } dd { margin: 0; }
dt > code { font-weight: 600; } dl dl > div { grid-template-columns: minmax(0, 1fr); }
.media { margin: .6rem 0 .2rem; } .forms { margin: 0; padding-left: 1.3rem; } .forms > li { padding-bottom: .6rem; }
.s2 > dt b, .s3 > dt b { color: var(--get); } .s4 > dt b { color: var(--put); } .s5 > dt b { color: var(--delete); }
summary { cursor: pointer; color: var(--soft); font-size: .8rem; padding: .15rem 0; } :target > dt, section:target > h3 { text-decoration: underline 2px var(--accent); text-underline-offset: .3em; }
@media (max-width: 52rem) { body { display: block; } .open { display: inline; } main { padding-top: 1.2rem; } dl > div { grid-template-columns: minmax(0, 1fr); }
  nav { display: none; } nav:target { display: block; position: fixed; inset: 0; z-index: 2; height: auto; border: 0; } }
@media print { nav, .bar { display: none; } body { display: block; } section { break-inside: avoid; } .curl, .javascript { display: block !important; } }
`.trimStart();
