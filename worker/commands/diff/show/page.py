"""The page of a report: its style and its template, for jinja2 with everything escaped."""

# ruff: noqa: E501 - a line break in a template is one on the page

STYLE = """
:root{--page:#f6f5f2;--card:#fff;--ink:#1d1c1a;--soft:#625f58;--line:#e2dfd8;--left:#8a8577;--right:#1f5f99;
--warn:#fdf0dc;--shade:31,95,153;--same:#f3f1ec}
@media(prefers-color-scheme:dark){:root{--page:#171614;--card:#211f1d;--ink:#ece9e3;--soft:#9c978d;--line:#35322e;
--left:#8f897c;--right:#7fb0df;--warn:#3d2f18;--shade:127,176,223;--same:#2a2825}
.plots img{filter:invert(.9) hue-rotate(180deg)}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.6rem 1.1rem 3rem}
h1{font-size:1.45rem;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.12rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h3{font-size:.92rem;margin:1.3rem 0 .25rem}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.1rem 1.2rem;
margin:0 0 1rem;min-width:0}
.verdict{font-size:1.08rem;line-height:1.55;margin:.2rem 0 .9rem;overflow-wrap:anywhere}
.verdict p{margin:0 0 .25rem}
.answer{font-size:1.15rem;font-weight:600;margin:0 0 .8rem}
.note{color:var(--soft);font-size:.86rem;margin:0 0 .6rem}
.warn{background:var(--warn);border-radius:6px;padding:.4rem .7rem;margin:.4rem 0 0;font-size:.88rem;
overflow-wrap:anywhere}
.over{border:2px solid var(--ink);border-radius:6px;padding:.4rem .7rem;margin:.4rem 0 .8rem;
font-weight:600}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem 1rem;margin:.2rem 0;font-size:.88rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.86rem}
caption{caption-side:top;text-align:left;color:var(--soft);font-size:.84rem;padding-bottom:.3rem}
th{font-weight:600;color:var(--soft);text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);
vertical-align:bottom}
tbody th{color:var(--ink);overflow-wrap:break-word;min-width:6.2rem;vertical-align:top}
td{padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child>td,tbody tr:last-child>th{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.n small,td small{color:var(--soft)}
.scroll{overflow-x:auto;max-width:100%}
.few,.few th{color:var(--soft)}
.mark{font-weight:600;white-space:nowrap}
.matrix{width:auto}.matrix td{min-width:5.2rem;text-align:right;padding:.4rem .6rem;border:2px solid var(--card);
border-radius:4px;font-variant-numeric:tabular-nums}
.matrix td small{display:block;color:inherit}.matrix td.same{color:var(--soft);background:var(--same)}
.matrix thead th{text-align:right;padding:.25rem .6rem}.matrix .corner{text-align:left}
.two{display:flex;flex-wrap:wrap;gap:.6rem 2.4rem;align-items:start}.two>*{min-width:0;max-width:100%;flex:1 1 24rem}
.two>.own{flex:0 1 auto}.own .note{max-width:25rem}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:.8rem;margin-top:1rem}
.plots img{display:block;width:100%;max-width:23rem;height:auto}
svg{display:block}.dots{width:11rem;height:1.1rem}
.track{stroke:var(--line);stroke-width:1}.whole{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 2}
.range{stroke:var(--right);stroke-opacity:.45;stroke-width:5}.at{fill:var(--ink)}
.post{border-top:1px solid var(--line);padding:.8rem 0}.post:first-of-type{border-top:0}
.post p{margin:.15rem 0}.text{overflow-wrap:anywhere;unicode-bidi:isolate;white-space:pre-wrap}
.head{display:flex;flex-wrap:wrap;gap:.15rem .9rem;align-items:baseline}.head b{font-variant-numeric:tabular-nums}
.bars{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr) 3.2rem;gap:.1rem .6rem;
align-items:center;font-size:.8rem;max-width:34rem}
.bars i{display:block;height:.42rem;border-radius:2px;min-width:1px}.bars .l{background:var(--left)}
.bars .r{background:var(--right);margin-top:2px}
.side{border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;font-size:.86rem;overflow-wrap:anywhere}
.side h4{margin:0 0 .3rem;font-size:.84rem;color:var(--soft)}
.side .words span{padding:.05rem .12rem;border-radius:3px;unicode-bidi:isolate}
details{margin-top:1rem}summary{cursor:pointer;font-weight:600;font-size:.92rem}
.id{color:var(--soft);font-size:.8rem;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:.8rem}
@media(max-width:50rem){.scroll table{min-width:max-content}}
@media print{body{background:#fff}section,header{border:0}.post,table,.plots img{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

TEMPLATE = """
{%- macro dots(estimate, scale, whole=none) -%}
<svg class="dots" viewBox="0 0 200 20" preserveAspectRatio="none" aria-hidden="true">
<line class="track" x1="0" x2="200" y1="10" y2="10"/>
{%- if whole is not none %}<line class="whole" x1="{{ 200 * whole / scale }}" x2="{{ 200 * whole / scale }}" y1="0" y2="20"/>{% endif -%}
<line class="range" x1="{{ 200 * estimate.low / scale }}" x2="{{ 200 * [estimate.high, scale]|min / scale }}" y1="10" y2="10"/>
<ellipse class="at" cx="{{ 200 * estimate.value / scale }}" cy="10" rx="2.6" ry="4.6"/></svg>
{%- endmacro -%}
{%- macro matrix(found) -%}
<p class="note">Posts by the left's label (rows) and the right's (columns), with their
share of the row. The stronger the shade, the larger the share that flips.</p>
<div class="scroll"><table class="matrix">
<thead><tr><th class="corner">left \\ right</th>{% for name in found.classes %}<th>{{ name|plain }}</th>{% endfor %}</tr></thead>
<tbody>{% for name in found.classes %}{% set row = loop.index0 %}{% set total = found.matrix[row]|sum %}
<tr><th scope="row">{{ name|plain }}</th>
{%- for count in found.matrix[row] -%}{% set share = count / total if total else 0 %}
<td{% if loop.index0 == row %} class="same"{% else %} style="{{ share|shade }}"{% endif %}>{{ "{:,}".format(count) }}<small>{{ share|share }}</small></td>
{%- endfor %}</tr>{% endfor %}</tbody></table></div>
{%- endmacro -%}
{%- macro classes(found) -%}
<p class="note">Each class against all others. Gained: posts that have the class on the right only. p: McNemar,
exact{% if found.classes|length > 2 %}, corrected for the number of classes (Holm){% endif %}.</p>
<div class="scroll"><table>
<thead><tr><th>class</th><th class="n">left</th><th class="n">right</th><th class="n">change, points</th><th class="n">gained</th>
<th class="n">lost</th><th class="n">p</th></tr></thead><tbody>
{% for one in found.by_class %}<tr><th scope="row">{{ one.name|plain }}</th><td class="n">{{ "{:,}".format(one.left) }}</td>
<td class="n">{{ "{:,}".format(one.right) }}</td><td class="n">{{ one.change|points }}</td><td class="n">{{ "{:,}".format(one.gained) }}</td>
<td class="n">{{ "{:,}".format(one.lost) }}</td><td class="n">{{ one.p_holm|chance }}</td></tr>
{% endfor %}</tbody></table></div>
{%- endmacro -%}
{%- macro scores(found) -%}
<p class="note">Probabilities, right minus left, post by post. Wasserstein: distance of the two
distributions, in units of probability. PSI: population stability index over the left's deciles (under 0.1 is small, over 0.25 large).</p>
<div class="scroll"><table>
<thead><tr><th>class</th><th class="n">mean, left</th><th class="n">right</th><th class="n">mean change</th><th class="n">5 % to 95 % of posts</th>
<th class="n">Wasserstein</th><th class="n">PSI</th></tr></thead><tbody>
{% for one in found.by_class %}<tr><th scope="row">{{ one.name|plain }}</th><td class="n">{{ "%.4f"|format(one.scores.left_mean) }}</td>
<td class="n">{{ "%.4f"|format(one.scores.right_mean) }}</td><td class="n">{{ one.scores.mean_change|moved }}</td>
<td class="n">{{ "%+.4f"|format(one.scores.quantiles["0.05"]) }} to {{ "%+.4f"|format(one.scores.quantiles["0.95"]) }}</td>
<td class="n">{{ "%.4f"|format(one.scores.wasserstein) }}</td><td class="n">{{ "%.4f"|format(one.scores.psi) }}</td></tr>
{% endfor %}</tbody></table></div>
{%- endmacro -%}
{%- macro side(name, one) -%}
<dt>{{ name }}</dt><dd>{{ one.name|harmless }}: {{ "{:,}".format(one.labels) }} labels
{%- for model in one.models[:4] if model.checkpoint %}; {{ model.checkpoint|harmless(26) }}, {{ (model.name or "")|harmless(60) }}, {{ (model.precision or "")|harmless(20) }},
graph context {{ (model.graph_context or "")|harmless(20) }}{% if one.models|length > 1 %} ({{ "{:,}".format(model.labels) }}){% endif %}{% endfor %}</dd>
{%- endmacro -%}
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{{ report.left.name|harmless(80) }} against {{ report.right.name|harmless(80) }}</title><style>{{ style|safe }}</style></head>
<body><main>
<header><h1>May the right replace the left?</h1>
<p class="answer">{{ answer|harmless }}</p>
<div class="verdict">{% for sentence in sentences %}<p>{{ sentence|harmless }}</p>{% endfor %}</div>
{% if report.fail_over and report.fail_over.exceeded %}<p class="over">Over the limit:
{% for task, value in report.fail_over.exceeded.items() %}{{ task|harmless }} {{ "%.2f"|format(100 * value) }} % (limit {{ "%g"|format(100 * report.fail_over.limits[task]) }} %){% if not loop.last %}, {% endif %}{% endfor %}</p>{% endif %}
<dl>{{ side("left (old)", report.left) }}{{ side("right (new)", report.right) }}
<dt>joined</dt><dd>{{ "{:,}".format(report.posts.joined) }} posts by {{ "their place in Kafka" if report.joined_by == "source" else "their id" }};
on the left alone {{ "{:,}".format(report.posts.left_only) }}, on the right alone {{ "{:,}".format(report.posts.right_only) }}</dd></dl>
{% for notice in report.notices %}<p class="warn">{{ notice|harmless }}</p>{% endfor %}
</header>
{% if report.tasks %}
<section><h2>Flips</h2>
<p class="note">Share of the posts whose labels differ, with its 95 % interval; the bars run from
0 to {{ "%g"|format(100 * scale) }} %. p: how likely such a difference is if both sides have each class as often ({{ tests }}).</p>
<div class="scroll"><table>
<thead><tr><th>task</th><th class="n">posts</th><th class="n">flips</th><th class="n">share, %</th><th></th><th>direction</th><th class="n">p</th></tr></thead><tbody>
{% for name, found in rows %}<tr><th scope="row">{{ name|harmless }}</th><td class="n">{{ "{:,}".format(found.posts) }}</td><td class="n">{{ "{:,}".format(found.flips) }}</td>
<td class="n">{{ found.share|percent }}</td><td>{{ dots(found.share, scale) }}</td>
<td>{{ found|direction }}</td><td class="n">{{ found.tests[0].p|chance }}</td></tr>
{% endfor %}</tbody></table></div></section>
{% if report.decisions %}<section><h2>Decisions</h2>
<p class="note">{{ "{:,}".format(report.decisions.changed) }} of {{ "{:,}".format(report.decisions.posts) }} posts change.
Left: policy {{ report.decisions.left_policy|harmless(19) }}; right: policy {{ report.decisions.right_policy|harmless(19) }}.
Gained: posts that have the decision on the right only. p: McNemar, exact.</p>
{% if report.decisions.by_decision %}<div class="scroll"><table>
<thead><tr><th>decision</th><th class="n">left</th><th class="n">right</th><th class="n">gained</th><th class="n">lost</th><th class="n">p</th></tr></thead><tbody>
{% for one in report.decisions.by_decision %}<tr><th scope="row">{{ one.name|harmless }}</th><td class="n">{{ "{:,}".format(one.left) }}</td>
<td class="n">{{ "{:,}".format(one.right) }}</td><td class="n">{{ "{:,}".format(one.gained) }}</td><td class="n">{{ "{:,}".format(one.lost) }}</td>
<td class="n">{{ one.p|chance }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}
{% if report.decisions.first %}<details><summary>The first {{ report.decisions.first|length }} posts that change</summary>
{% for post in report.decisions.first %}<p class="id">{{ post.post_id|harmless(120) }}: {{ (post.left|join(", ") or "none")|harmless }} → {{ (post.right|join(", ") or "none")|harmless }}
{%- if post.community %} · {{ post.community|harmless(60) }}{% endif %}</p>
{% endfor %}</details>{% endif %}</section>{% endif %}
{% for task, found in report.tasks.items() %}
<section><h2>{{ task|capital }}</h2><p class="note">{{ "{:,}".format(found.posts) }} posts, {{ "{:,}".format(found.flips) }} flips;
{% for test in found.tests %}{{ test|tested }}{% if not loop.last %}; {% endif %}{% endfor %}.
Mean probability of the own label: left {{ "%.3f"|format(found.confidence.left) }}, right {{ "%.3f"|format(found.confidence.right) }} (change {{ found.confidence.change|moved }}).</p>
<div class="two"><div class="own">{{ matrix(found) }}</div><div>{{ classes(found) }}</div></div>
<h3>Scores</h3>{{ scores(found) }}
<div class="plots">{% for plot in plots[task] %}<img src="{{ plot.url }}" alt="{{ plot.alt }}" width="331" height="240">{% endfor %}</div>
{% if found.truth %}<h3>Against known answers</h3>
<p class="note">{{ "{:,}".format(found.truth.posts) }} posts with a known answer. Only the left has the answer on
{{ "{:,}".format(found.truth.only_left_right) }}, only the right on {{ "{:,}".format(found.truth.only_right_right) }}: p {{ found.truth.p|chance }} (McNemar, exact).</p>
<div class="scroll"><table>
<thead><tr><th></th><th class="n">left</th><th class="n">right</th><th class="n">change</th></tr></thead><tbody>
<tr><th scope="row">accuracy, %</th><td class="n">{{ found.truth.left_accuracy|percent }}</td><td class="n">{{ found.truth.right_accuracy|percent }}</td>
<td class="n">{{ found.truth.accuracy_change|points }}</td></tr>
<tr><th scope="row">expected calibration error</th><td class="n">{{ found.truth.left_ece|figure }}</td><td class="n">{{ found.truth.right_ece|figure }}</td>
<td class="n">{{ found.truth.ece_change|moved }}</td></tr></tbody></table></div>{% endif %}
{% if groups[task] %}<h3>Segments</h3>
<p class="note">Dots: share that flips, with its 95 % interval, from 0 to {{ "%g"|format(100 * scales[task]) }} %; dashed: all posts.
Leans: the right has one class more often there than the left, beyond chance.
Marks are corrected for all {{ segments }} segments (Holm). Segments of fewer than 30 posts are counted and not tested.</p>
<div class="scroll"><table>
<thead><tr><th>segment</th><th></th><th class="n">posts</th><th class="n">flips</th><th class="n">share, %</th><th></th><th>largest change, points</th><th></th></tr></thead><tbody>
{% for by, mine, more in groups[task] %}{% for one in mine %}<tr{% if not one.claimed %} class="few"{% endif %}><td>{{ by if loop.first }}</td>
<th scope="row">{{ one|named }}</th><td class="n">{{ "{:,}".format(one.posts) }}</td><td class="n">{{ "{:,}".format(one.flips) }}</td>
{% if one.claimed %}<td class="n">{{ one.share|percent }}</td><td>{{ dots(one.share, scales[task], found.share.value) }}</td><td>{{ one.changes|largest }}</td><td class="mark">{{ one|marks }}</td>
{% else %}<td></td><td></td><td></td><td>too few posts to say</td>{% endif %}</tr>
{% endfor %}{% if more %}<tr class="few"><td></td><td colspan="7">and {{ more }} more, in --json</td></tr>{% endif %}{% endfor %}</tbody></table></div>{% endif %}
{% if task in report.intensities %}<details><summary>Intensity: {{ report.intensities[task].share|percent }} % of {{ "{:,}".format(report.intensities[task].posts) }} posts flip</summary>
{{ matrix(report.intensities[task]) }}{{ classes(report.intensities[task]) }}{{ scores(report.intensities[task]) }}</details>{% endif %}
</section>
{% endfor %}
{% if report.moved %}<section><h2>Moved most</h2><p class="note">Distance: total variation between a post's two answers, 0 to 1. Grey bars: left; blue: right.</p>
{% for post in report.moved %}<div class="post"><p class="head"><b>{{ "%.3f"|format(post.distance) }}</b><span>{{ post.task|harmless }}</span>
<span>{{ post.left.label|plain }} → {{ post.right.label|plain }}</span><span class="mark">{{ "flips" if post.flipped else "same label" }}</span>
{% if post.other_flips %}<span>also flips: {{ post.other_flips|join(", ")|harmless }}</span>{% endif %}</p>
{% if post.text %}<p class="text" dir="auto">{{ post.text|harmless(600) }}</p>{% endif %}
<div class="bars">{% for name, value in post.left.probabilities.items() %}<span>{{ name|plain }}</span>
<span><i class="l" style="width:{{ "%.1f"|format(100 * value) }}%"></i><i class="r" style="width:{{ "%.1f"|format(100 * post.right.probabilities[name]) }}%"></i></span>
<span class="n">{{ "%.2f"|format(value) }} {{ "%.2f"|format(post.right.probabilities[name]) }}</span>{% endfor %}</div>
<p class="id">{{ post.post_id|harmless(120) }}{% if post.source %} · {{ post.source.topic|harmless }}[{{ post.source.partition }}]@{{ post.source.offset }}{% endif %}
{%- if post.community %} · {{ post.community|harmless(60) }}{% endif %}{% if post.language %} · {{ post.language|harmless(20) }}{% endif %}</p>
{% if post.explanations %}<div class="two">{% for name, reasons in post|reasons %}<div class="side"><h4>{{ name }}: {{ reasons.label|plain }} {{ "%.2f"|format(reasons.probability) }}</h4>
{% if reasons.words %}<p class="words" dir="auto">{% for word, style in reasons.words %}<span style="{{ style }}">{{ word|harmless(60) }}</span> {% endfor %}</p>{% endif %}
{% if reasons.moves %}<table><caption>How much each part adds to the probability of {{ reasons.label|plain }}.</caption><tbody>
{% for part, change in reasons.moves %}<tr><th scope="row">{{ part|harmless(60) }}</th><td class="n">{{ "%+.3f"|format(change) }}</td></tr>{% endfor %}</tbody></table>{% endif %}
</div>{% endfor %}</div>{% endif %}
</div>{% endfor %}</section>{% endif %}
{% endif %}
<footer>Changes are right minus left. Intervals: the middle 95 % over posts drawn with replacement; if no post flipped, or all did, the exact interval.
Corrected (Holm): a value under 0.05 is significant, however many tests of its kind there are.</footer>
</main></body></html>
"""
