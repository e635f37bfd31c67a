"""Scores of a checkpoint as one page that needs no other file, no network and no script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from mmorient.explain.style import STYLE
from mmorient.training.judging.evaluating import Score
from mmorient.training.judging.metrics import Bin

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MEASURES = {"macro_f1": "macro-F1", "macro_recall": "macro-recall", "f1": "F1", "calibration_error": "ECE"}
_BAR_WIDTH, _BAR_HEIGHT = 96, 12
_SIDE, _LEFT, _TOP, _BELOW = 200, 46, 14, 40  # of the reliability diagram, in its own units
_DEEPEST = 0.5  # beyond it, figures are hard to read on the shade in dark pages

_STYLE = (
    STYLE
    + """
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:.8rem 0 0;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
h1+p{margin:0}h2 small{font-weight:400;color:var(--soft)}
h3{margin:1.2rem 0 .3rem}
a{color:var(--chosen);text-decoration:none}a:hover,a:focus{text-decoration:underline}
.scroll{container-type:inline-size}
caption span{display:block;max-width:100cqw;position:sticky;left:0}
caption{caption-side:top;text-align:left;color:var(--soft);font-size:.86rem;padding-bottom:.35rem}
thead th{vertical-align:bottom}
tbody th{color:var(--ink);white-space:nowrap;vertical-align:top;padding-top:.3rem}
tr:last-child th[scope=row]{border-bottom:0}
td{overflow-wrap:normal}td.n{padding-left:.8rem}td.n small{display:block;color:var(--soft)}
th.c,td.shaded{text-align:center}th.c{padding-right:0}
td.shaded{border:2px solid var(--card);border-radius:4px;padding:.35rem .6rem}
td.shaded small{display:block;color:inherit}
.parts{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:1.2rem 2rem;align-items:start}
svg{display:block}.interval{margin-left:auto;width:6rem;max-width:100%}.reliability{width:100%;max-width:20rem}
.track{stroke:var(--line);stroke-width:2}.range{stroke:var(--chosen);stroke-opacity:.45;stroke-width:6}
.at{stroke:var(--ink);stroke-width:1.6}
.frame{fill:none;stroke:var(--line)}.even{stroke:var(--soft);stroke-dasharray:4 4}
.curve{fill:none;stroke:var(--chosen);stroke-width:1.5}.dot{fill:var(--chosen);fill-opacity:.75}
svg text{fill:var(--soft);font-size:10.5px}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--bar:#999;--chosen:#2f5d8a}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}main{max-width:none;padding:0}
section{border:0;padding:.4rem 0}table,.reliability{break-inside:avoid}.scroll{overflow:visible}}
"""
)


def write_report(scores: Sequence[Score], about: Mapping[str, str], out: Path) -> None:
    """Write the page.

    Args:
        scores: As ``evaluate`` yields them: of a set, modality and task first ``all``, then the slices of it.
        about: What was measured and how, name to value, in the order to show: checkpoint, precision, split, ...
        out: HTML file to write.
    """
    out.write_text(_page(scores, about), encoding="utf-8")


def _page(scores: Sequence[Score], about: Mapping[str, str]) -> str:
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in about.items())
    parts = [list(group) for _, group in groupby(scores, key=lambda one: (one.source, one.modalities, one.task))]
    summary = _summary([one for one in scores if one.slice == "all"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">
<title>Evaluation of {escape(about.get("checkpoint", "a checkpoint"))}</title><style>{_STYLE}</style></head>
<body><main><header><h1>Evaluation report</h1>
<p class="note">Labels made as a user makes them, held against the truth. In percent.</p><dl>{terms}</dl></header>
<section><h2>Summary</h2>{summary}</section>
{"".join(map(_part, parts))}<footer>Intervals: the middle 95 % over posts drawn with replacement.
Means: over the classes that occur.
F1: of the second class of a binary task, else the macro-F1 again.
ECE: expected calibration error of the most probable class.</footer></main></body></html>
"""


def _summary(scores: Sequence[Score]) -> str:
    worst = max((score.intervals["calibration_error"][1] for score in scores), default=0.0)
    # Errors are a few percent: on the scale of the other measures all bars would look alike.
    tops = dict.fromkeys(_MEASURES, 100.0) | {"calibration_error": 5.0 * (worst // 5 + 1)}
    rows = [
        f'<tr><th scope="row"><a href="#{_anchor(score)}">{escape(score.source)}</a></th>'
        f"<td>{escape(score.modalities)}</td><td>{escape(score.task)}</td>{_count(score.posts)}"
        f"{''.join(_figure(score, name, top) for name, top in tops.items())}</tr>"
        for score in scores
    ]
    caption = (
        "All posts of each set. Tick: the figure; band: its 95 % interval. Bars run from 0 to 100, those of ECE from 0 "
        f"to {tops['calibration_error']:.0f}."
    )
    heads = [_head("set"), _head("read"), _head("task"), _head("posts", "n")]
    return _table(caption, [*heads, *(_head(title, "n") for title in _MEASURES.values())], rows)


def _part(scores: Sequence[Score]) -> str:
    whole, *slices = scores
    head = f"{escape(whole.source)} · {escape(whole.task)} <small>from {escape(whole.modalities)}"
    return (
        f'<section id="{_anchor(whole)}"><h2>{head}, {whole.posts:,} posts</small></h2>{_warning(whole)}'
        f'<div class="parts"><div>{_classes(whole)}<h3>Confusion</h3>{_confusion(whole)}</div>'
        f"<div>{_reliability(whole)}</div></div>{_slices(slices) if slices else ''}</section>\n"
    )


def _classes(score: Score) -> str:
    said_of = [sum(column) for column in zip(*score.confusion, strict=True)]
    rows = [
        f'<tr><th scope="row">{_plain(name)}</th><td class="n">{_known(score.precision[name], said)}</td>'
        f'<td class="n">{_known(score.recall[name], posts)}</td>{_count(posts)}</tr>'
        for (name, posts), said in zip(score.occurring.items(), said_of, strict=True)
    ]
    heads = [_head("class"), _head("precision", "n"), _head("recall", "n"), _head("posts", "n")]
    return f"<h3>Classes</h3>{_table('Precision and recall of each class, in percent.', heads, rows)}"


def _known(percent: float, posts: int) -> str:
    """A figure; a dash where there is no post of which it could be one."""
    return f"{percent:.2f}" if posts else "\u2013"


def _warning(score: Score) -> str:
    return f'<p class="warn">{_plain(score.warning[:1].upper() + score.warning[1:])}.</p>' if score.warning else ""


def _confusion(score: Score) -> str:
    names = list(score.precision)
    rows = []
    for name, counts in zip(names, score.confusion, strict=True):
        shares = [count / max(sum(counts), 1) for count in counts]
        cells = "".join(
            f'<td class="shaded" style="background:rgba(var(--heat),{_DEEPEST * share:.2f})">{count:,}'
            f"<small>{f'{share:.0%}' if any(counts) else '&nbsp;'}</small></td>"
            for count, share in zip(counts, shares, strict=True)
        )
        rows.append(f'<tr><th scope="row">{_plain(name)}</th>{cells}</tr>')
    caption = "Posts by true class (rows) and label (columns), with their share of the row."
    return _table(caption, [_head("true"), *(_head(_plain(name), "c") for name in names)], rows)


def _slices(scores: Sequence[Score]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(score.slice)}</th>{_count(score.posts)}'
        f"{''.join(_figure(score, name) for name in _MEASURES)}</tr>"
        for score in scores
    ]
    heads = [_head("slice"), _head("posts", "n"), *(_head(title, "n") for title in _MEASURES.values())]
    return f"<h3>Slices</h3>{_table('Posts chosen by their text, with 95 % intervals.', heads, rows)}"


def _figure(score: Score, name: str, top: float | None = None) -> str:
    """A cell: the figure, its interval and, where ``top`` says how far a bar reaches, both as a bar."""
    value: float = getattr(score, name)
    low, high = score.intervals[name]
    bar = "" if top is None else _bar(value, low, high, top)
    return f'<td class="n">{value:.2f}<small>{low:.1f} \u2013 {high:.1f}</small>{bar}</td>'


def _bar(value: float, low: float, high: float, top: float) -> str:
    at, start, end = (3 + (_BAR_WIDTH - 6) * min(one / top, 1) for one in (value, low, high))
    middle = _BAR_HEIGHT / 2
    # Its figures stand beside it in the same cell.
    return (
        f'<svg class="interval" viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT}" aria-hidden="true">'
        f'<line class="track" x1="3" y1="{middle}" x2="{_BAR_WIDTH - 3}" y2="{middle}"/>'
        f'<line class="range" x1="{start:.1f}" y1="{middle}" x2="{end:.1f}" y2="{middle}"/>'
        f'<line class="at" x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{_BAR_HEIGHT}"/></svg>'
    )


def _reliability(score: Score) -> str:
    points = [(*_place(one.confidence, one.accuracy), one) for one in score.reliability]
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = "".join(_dot(x, y, one, score.posts) for x, y, one in points)
    (left, bottom), (right, top) = _place(0, 0), _place(1, 1)
    ticks = "".join(
        f'<text x="{_place(share, 0)[0]}" y="{bottom + 14}" text-anchor="middle">{share:.0%}</text>'
        f'<text x="{left - 5}" y="{_place(0, share)[1] + 4}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    )
    middle = bottom - _SIDE / 2
    low, high = score.intervals["calibration_error"]
    title = f"Reliability of {escape(score.task)}: share right by confidence"
    caption = (
        f"How often the most probable class is right, by its probability; on the dashed line it is as right as it is "
        f"sure. Larger dots are more posts. ECE {score.calibration_error:.2f} ({low:.1f} \u2013 {high:.1f})."
    )
    return (
        f'<h3>Reliability</h3><figure><svg class="reliability" role="img" aria-label="{title}" '
        f'viewBox="0 0 {_LEFT + _SIDE + 18} {_TOP + _SIDE + _BELOW}"><title>{title}</title>'
        f'<rect class="frame" x="{left}" y="{top}" width="{_SIDE}" height="{_SIDE}"/>'
        f'<line class="even" x1="{left}" y1="{bottom}" x2="{right}" y2="{top}"/>{ticks}'
        f'<text x="{left + _SIDE / 2}" y="{bottom + 31}" text-anchor="middle">confidence</text>'
        f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">share right</text>'
        f'<polyline class="curve" points="{curve}"/>{dots}</svg><figcaption>{caption}</figcaption></figure>'
    )


def _place(confidence: float, accuracy: float) -> tuple[float, float]:
    return _LEFT + _SIDE * confidence, _TOP + _SIDE * (1 - accuracy)


def _dot(x: float, y: float, one: Bin, posts: int) -> str:
    radius = 2 + 8 * (one.posts / posts) ** 0.5
    said = f"{one.posts:,} posts: sure {one.confidence:.1%}, right {one.accuracy:.1%}"
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{said}</title></circle>'


def _table(caption: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    return (
        f'<div class="scroll"><table><caption><span>{caption}</span></caption><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _head(title: str, kind: str = "") -> str:
    return f'<th scope="col" class="{kind}">{title}</th>'


def _count(posts: int) -> str:
    return f'<td class="n">{posts:,}</td>'


def _plain(name: str) -> str:
    return escape(name.replace("_", " "))


def _anchor(score: Score) -> str:
    return escape("-".join((score.source, score.modalities, score.task)).replace("+", "-").replace(" ", "-"))
