export const ACCOUNT_STYLE = `
:root { color-scheme: light dark; --fg: #1c2430; --soft: #566273; --bg: #f3f5f8; --panel: #fff; --line: #c9d1db; --accent: #0b62d6; --on-accent: #fff; --good: #0a6b49; --bad: #b3202f; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e9f0; --soft: #a3b0c2; --bg: #12161c; --panel: #1a2029; --line: #3a4553; --accent: #6ea8ff; --on-accent: #0b1220; --good: #4ccf9c; --bad: #ff8a94; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; font: 16px/1.55 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
main { width: 100%; max-width: 27rem; padding: clamp(1.25rem, 6vw, 2rem); background: var(--panel); border: 1px solid var(--line); border-radius: 14px; }
h1 { margin: 0 0 .6rem; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 1rem; } .soft { margin: 1.1rem 0 0; color: var(--soft); font-size: .92rem; }
label { display: block; margin: 0 0 .3rem; font-weight: 600; } label.check { display: flex; gap: .5rem; align-items: center; margin: .6rem 0 0; font-weight: 400; }
input:not([type=checkbox]) { width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: var(--bg); border: 1px solid var(--line); border-radius: 8px; }
input[type=checkbox] { width: 1.15rem; height: 1.15rem; margin: 0; accent-color: var(--accent); }
button { width: 100%; margin: 1.1rem 0 0; padding: .75rem; font: inherit; font-weight: 650; color: var(--on-accent); background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; }
button:disabled { opacity: .55; cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a { color: var(--accent); } .code { font: 600 2rem/1.2 ui-monospace, monospace; letter-spacing: .2em; }
#outcome { margin: 0; padding: .8rem 0 0; font-weight: 600; } #outcome:focus { outline: none; } .done { color: var(--good); } .fault { color: var(--bad); }
form[hidden] + #outcome, #outcome.done { padding: 0; }
`.trim();
