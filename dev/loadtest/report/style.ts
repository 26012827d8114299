export const STYLE = `
:root{color-scheme:light dark;--fg:#1c2430;--soft:#566273;--bg:#f4f6f9;--panel:#fff;--line:#d9e0e8;--s0:#0b62d6;--s1:#8f5200;--s2:#c02638;--s3:#0a7048;--s4:#6d3bc4;--note:#e8f0fd}
@media (prefers-color-scheme:dark){:root{--fg:#e4e9f0;--soft:#9fadbf;--bg:#12161c;--panel:#1a2029;--line:#2c3542;--s0:#6ea8ff;--s1:#f0a64b;--s2:#ff7583;--s3:#4ccf9c;--s4:#b79cff;--note:#1b2b45}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg)}
h1{font-size:1.3rem;margin:0}
h2{font-size:1rem;margin:0 0 .5rem}
p{margin:.3rem 0;overflow-wrap:anywhere}
.soft{color:var(--soft)}
section{background:var(--panel);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem;margin:.8rem 0;min-width:0}
.limit{background:var(--note);border-color:var(--s0)}
.limit p{font-size:1.1rem;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:.8rem 0;padding:0}
.tiles div{background:var(--panel);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .9rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.35rem;font-weight:650;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(27rem,100%),1fr));gap:0 .8rem}
.plot{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.5rem;height:12rem}
.plot>svg{width:100%;height:100%;overflow:visible}
.y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;margin:-.6em 0}
.x{display:flex;justify-content:space-between;padding-left:3.5rem;margin-top:.4rem}
.y,.x{color:var(--soft);font-size:.8rem;font-variant-numeric:tabular-nums}
.y{min-width:3rem}
path,line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.grid{stroke:var(--line);stroke-width:1}
.level{stroke:var(--soft);stroke-dasharray:2 4}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1);stroke-dasharray:7 3}.s2{stroke:var(--s2)}.s3{stroke:var(--s3);stroke-dasharray:3 3}.s4{stroke:var(--s4)}
.b0{fill:var(--s0)}.b1{fill:var(--s1)}.b2{fill:var(--s2)}.b3{fill:var(--s3)}.b4{fill:var(--s4)}
.stacked .legend line{stroke-width:8;stroke-dasharray:none}
.hit{fill:transparent}.hit:hover{fill:var(--line);fill-opacity:.5}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;margin:.5rem 0 0;padding:0;font-size:.85rem}
.legend svg{width:1.6rem;height:.5rem;margin-right:.4rem;vertical-align:middle}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
.facts td{white-space:normal}
th{font-weight:600;color:var(--soft)}
summary{cursor:pointer;font-weight:600}
`;
