"""The look of the page of an explanation: light and dark as the reader's system asks, and on paper."""

STYLE = """
:root{--page:#f6f5f2;--card:#fff;--ink:#1d1c1a;--soft:#6b6861;--line:#e4e1da;--bar:#c9c4b8;--chosen:#2f5d8a;
--up:#2e7d4f;--down:#b3402f;--heat:249,142,9;--flip:#fdf0dc}
@media(prefers-color-scheme:dark){:root{--page:#171614;--card:#211f1d;--ink:#ece9e3;--soft:#9c978d;--line:#35322e;
--bar:#4b4740;--chosen:#7fb0df;--up:#6cc494;--down:#ee8674;--flip:#3d2f18}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:62rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{margin-bottom:1.5rem}
h1{font-size:1.5rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .2rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.25rem;margin:0 0 1rem}
.note{color:var(--soft);font-size:.86rem;margin:0 0 .8rem}
.warn{background:var(--flip);border-radius:6px;padding:.4rem .7rem;margin:.6rem 0 0;font-size:.9rem}
.tasks{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1.1rem 1.8rem}
h3{font-size:.86rem;font-weight:600;color:var(--soft);margin:0}
.task .label{font-size:1.15rem;font-weight:650;margin:0 0 .35rem}
.row{display:grid;grid-template-columns:8rem 1fr 3.2rem;gap:.6rem;align-items:center;font-size:.84rem;
color:var(--soft)}
.row.on{color:var(--ink);font-weight:600}
.row i{display:block;height:.55rem;border-radius:3px;background:var(--bar);min-width:1px}
.row.on i{background:var(--chosen)}
.row span:nth-child(2){position:relative}
.row b{position:absolute;top:-.2rem;bottom:-.2rem;width:2px;margin-left:-1px;background:var(--down)}
.held{color:var(--down);font-size:.8rem;margin:.1rem 0 0}
.row span:last-child,td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.degrees{margin-top:.5rem;padding-top:.45rem;border-top:1px dashed var(--line)}
.text{font-size:1.2rem;line-height:2;margin:.2rem 0 1rem;overflow-wrap:anywhere;unicode-bidi:isolate}
.text span{padding:.12rem .15rem;border-radius:4px;unicode-bidi:isolate}
.text .unread{color:var(--soft);text-decoration:line-through}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th{font-weight:600;color:var(--soft);text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line)}
td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
th.n{text-align:right}
th.n+th,td.n+td{padding-left:.8rem}
.scroll{overflow-x:auto}
td.what{position:sticky;left:0;background:var(--card);min-width:6.4rem;overflow-wrap:break-word}
td i{display:block;height:.55rem;border-radius:3px;background:rgb(var(--heat));margin-top:.42rem;min-width:1px}
td.bar{width:34%}
figure{margin:0}
figcaption{color:var(--soft);font-size:.82rem;margin-top:.3rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:1rem;margin-bottom:.8rem}
.pair img{display:block;max-width:100%;max-height:30rem;border-radius:6px}
.near{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}
.near{margin-bottom:1rem}.near section{margin:0}
.tag{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:0 .5rem;margin:0 .2rem .15rem 0}
.up{color:var(--up)}.down{color:var(--down)}.still{color:var(--soft)}
td.flip{background:var(--flip)}
td.flip small{display:block;color:var(--ink);font-weight:600}
footer{color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}
@media print{body{background:#fff}section{break-inside:avoid}}
"""
