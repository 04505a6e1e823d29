//! How the page looks: its sheet of style, and the shapes that days and grades are drawn with.

/// The shapes, each by its name. They are used by reference, so that a year costs little.
pub const SHAPES: &str = "\
<svg width=\"0\" height=\"0\" class=\"shapes\" aria-hidden=\"true\"><defs>\
<rect id=\"day-copied\" class=\"g\" width=\"11\" height=\"11\" rx=\"2.5\"/>\
<g id=\"day-unchanged\"><rect class=\"go\" x=\"0.75\" y=\"0.75\" width=\"9.5\" height=\"9.5\" rx=\"2\"/>\
<circle class=\"g\" cx=\"5.5\" cy=\"5.5\" r=\"1.6\"/></g>\
<g id=\"day-mixed\"><path class=\"n\" d=\"M0 2.5A2.5 2.5 0 0 1 2.5 0H8.5A2.5 2.5 0 0 1 11 2.5V11H0Z\"/>\
<path class=\"g\" d=\"M0 2V8.5A2.5 2.5 0 0 0 2.5 11H9Z\"/></g>\
<g id=\"day-partial\"><rect class=\"no\" x=\"0.75\" y=\"0.75\" width=\"9.5\" height=\"9.5\" rx=\"2\"/>\
<path class=\"n\" d=\"M1 5.5H10V9A1.5 1.5 0 0 1 8.5 10.5H2.5A1.5 1.5 0 0 1 1 9Z\"/></g>\
<path id=\"day-interrupted\" class=\"n\" d=\"M5.5 0.6L11 10.6H0Z\"/>\
<path id=\"day-held\" class=\"b\" d=\"M5.5 0L11 5.5L5.5 11L0 5.5Z\"/>\
<path id=\"day-failed\" class=\"bo\" d=\"M1.5 1.5L9.5 9.5M9.5 1.5L1.5 9.5\"/>\
<circle id=\"day-away\" class=\"f\" cx=\"5.5\" cy=\"5.5\" r=\"1.5\"/>\
<g id=\"sign-good\"><circle class=\"g\" cx=\"8\" cy=\"8\" r=\"7.5\"/>\
<path class=\"w\" d=\"M4.5 8.3L7 10.8L11.6 5.6\"/></g>\
<circle id=\"sign-calm\" class=\"co\" cx=\"8\" cy=\"8\" r=\"6.2\"/>\
<g id=\"sign-notice\"><path class=\"n\" d=\"M8 0.8L15.6 14.6H0.4Z\"/><path class=\"w\" d=\"M8 5.6V9.6M8 12V12.2\"/></g>\
<g id=\"sign-bad\"><rect class=\"b\" x=\"0.5\" y=\"0.5\" width=\"15\" height=\"15\" rx=\"3.5\"/>\
<path class=\"w\" d=\"M5 5L11 11M11 5L5 11\"/></g>\
</defs></svg>";

/// The sheet of style.
pub const SHEET: &str = "
:root{color-scheme:light dark;--paper:#f6f5f2;--card:#fff;--ink:#1f2428;--faint:#5a636b;--edge:#dedbd4;
--good:#1b7a48;--notice:#8a5600;--bad:#b3261e;--calm:#4a6072;--busy:#2f6690;--code:#eeece6}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1d2125;--ink:#e6e4df;--faint:#a2abb3;
--edge:#343a40;
--good:#5ac98d;--notice:#eeb24e;--bad:#ff8f85;--calm:#9fb4c4;--busy:#7fb2dd;--code:#2a2f34}}
@media print{:root{color-scheme:light;--paper:#fff;
--card:#fff}nav{display:none}section,figure,article{break-inside:avoid}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,
'Noto Sans','DejaVu Sans',sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:68rem;margin:0 auto;padding:0 1rem}
header{padding-top:2rem}
footer{padding-bottom:2.5rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:2.75rem 0 .75rem}
h3{font-size:1rem;margin:0;font-weight:650}
p{margin:.25rem 0 .75rem;max-width:44rem}
.faint,.hint,figcaption,.axis,.name,caption{color:var(--faint)}
.hint{font-size:.9rem}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;background:var(--code);
padding:.1em .35em;border-radius:.3em}
a{color:var(--busy);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible{outline:2px solid var(--busy);outline-offset:2px;border-radius:3px}
.shapes{position:absolute}
.g{fill:var(--good)}.n{fill:var(--notice)}.b{fill:var(--bad)}.f{fill:var(--faint);opacity:.55}
.go,.no,.bo,.co,.w{fill:none;stroke-width:1.5;stroke:var(--good)}
.no{stroke:var(--notice)}.bo{stroke:var(--bad);stroke-width:2.6;stroke-linecap:round}
.co{stroke:var(--calm);stroke-width:2}.w{stroke:var(--card);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.sign{width:1em;height:1em;flex:none;vertical-align:-.12em;margin-right:.5em}
#verdict{background:var(--card);border:1px solid var(--edge);border-left:.4rem solid var(--calm);border-radius:.75rem;
padding:1.1rem 1.25rem;margin-top:1.25rem}
#verdict.good{border-left-color:var(--good)}#verdict.notice{border-left-color:var(--notice)}
#verdict.bad{border-left-color:var(--bad)}
#verdict h2{margin:0;font-size:1.35rem;line-height:1.3;display:flex;align-items:baseline}
.remarks{list-style:none;margin:1rem 0 0;padding:0;display:grid;gap:.7rem}
.remarks li{display:flex;align-items:baseline}
.remarks p{margin:.1rem 0;max-width:none}
.remarks p .hint{display:block}
nav ul,.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;padding:0;margin:1rem 0 0}
nav{font-size:.95rem}
nav a{display:inline-block;padding:.2rem 0}
.cards{display:grid;gap:.9rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr))}
.cards article{background:var(--card);border:1px solid var(--edge);border-radius:.75rem;padding:.9rem 1rem}
.cards .word{margin:.1rem 0 .4rem;font-weight:600}
.good .word{color:var(--good)}.notice .word{color:var(--notice)}.bad .word{color:var(--bad)}
.calm .word{color:var(--calm)}
.way{font-size:.9rem;color:var(--faint);margin:0 0 .5rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:0;font-size:.93rem}
dt{color:var(--faint)}dd{margin:0}
.cards .hint{margin:.5rem 0 0}
figure{margin:0 0 1.75rem}
figcaption h3{color:var(--ink)}
.legend{margin:0 0 1.25rem;font-size:.92rem}
.legend li{display:flex;align-items:center}
.day{width:.9em;height:.9em;margin-right:.45em;flex:none}
.months{display:grid;grid-template-columns:repeat(12,minmax(0,1fr));gap:.5rem .7rem;margin:.6rem 0 .4rem}
.months .name{font-size:.78rem;line-height:1.4}
.month{width:100%;display:block}
@media (max-width:52rem){.months{grid-template-columns:repeat(6,minmax(0,1fr))}}
@media (max-width:30rem){.months{grid-template-columns:repeat(4,minmax(0,1fr))}h1{font-size:1.4rem}
#verdict h2{font-size:1.2rem}.timeline .close{display:none}}
details{font-size:.93rem;margin:.25rem 0}
summary{cursor:pointer;color:var(--busy)}
.days{margin:.4rem 0;padding-left:1.2rem}
.charts{display:grid;gap:0 2rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
.bars svg{display:block;width:100%;height:4.5rem;overflow:visible;border-bottom:1px solid var(--edge);margin-top:.4rem}
.bars rect{fill:var(--busy)}
.bars figcaption{font-size:.9rem}
.axis{display:flex;justify-content:space-between;font-size:.8rem;margin-top:.2rem}
.timeline svg{display:block;width:100%;height:60px;margin:.3rem 0}
.timeline line{stroke:var(--busy);stroke-width:2}
.timeline .goes{stroke:var(--faint);stroke-dasharray:3 3}
.timeline .ground,.timeline .mark{stroke:var(--edge);stroke-width:1.5}
.timeline .doubt{fill:var(--notice)}
.timeline text{font-size:12px;fill:var(--faint)}
.out{display:flex;align-items:baseline;flex-wrap:wrap}
.flow{display:grid;gap:1.5rem 2.5rem;grid-template-columns:minmax(0,23rem) minmax(0,1fr);align-items:start}
@media (max-width:52rem){.flow{grid-template-columns:minmax(0,1fr)}}
.flow td{min-width:6.5rem}
.graph{width:100%;max-width:25rem;height:auto;display:block}
.graph text{font-size:13px;fill:var(--ink)}
.graph .kind{fill:var(--faint);font-size:11.5px}
.graph .name{font-weight:650;fill:var(--ink);font-size:13px}
.graph .volume{stroke:none}
.graph rect.volume{fill:var(--card);stroke:var(--edge);stroke-width:1.5}
.graph .line{fill:none;stroke:var(--calm);stroke-width:1.8}.graph .off{stroke-dasharray:4 4}
.graph .head{fill:var(--calm)}
.graph .line.good{stroke:var(--good)}.graph .head.good{fill:var(--good)}
.graph .line.notice{stroke:var(--notice)}.graph .head.notice{fill:var(--notice)}
.graph .line.bad{stroke:var(--bad)}.graph .head.bad{fill:var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.93rem}
caption{text-align:left;font-size:.9rem;padding-bottom:.3rem}
th,td{text-align:left;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--edge);vertical-align:top;
font-weight:400}
thead th{color:var(--faint);font-size:.85rem}
tbody th{font-weight:600}
@media (max-width:40rem){.stacked thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stacked,.stacked tbody,.stacked tr,.stacked th,.stacked td,.stacked caption{display:block}
.stacked tr{padding:.5rem 0;border-bottom:1px solid var(--edge)}
.stacked th,.stacked td{border:0;padding:.1rem 0}
.stacked td{display:grid;grid-template-columns:7.5rem 1fr}
.stacked td::before{content:attr(data-label);color:var(--faint)}}
";
