"""An explanation as one page that needs no other file, no network and no script."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from io import BytesIO

from PIL import Image

from mmorient.explain.case import Case
from mmorient.explain.heatmap import RegionReading, heat_map
from mmorient.explain.neighbours import Nearest
from mmorient.explain.strength import strengths
from mmorient.explain.style import STYLE
from mmorient.explain.visible import short, visible
from mmorient.explain.without import Without
from mmorient.explain.words import TextReading
from mmorient.labels import TASKS, TaskLabel

_SIDE_PIXELS = 900  # twice the width at which a picture is shown, for dense screens
_LISTED_WORDS = 10
# Nothing on the page may load or run, whatever a post manages to put there.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(case: Case) -> str:
    """The page of an explanation, HTML."""
    explanation, model = case.explanation, case.explanation.model
    text = "" if explanation.text is None else _text(case, explanation.text)
    pictures = "".join(_picture(case, index, reading) for index, reading in enumerate(explanation.pictures))
    near = _near(case, "text", explanation.near_text) + _near(case, "picture", explanation.near_picture)
    lost = "".join(
        f'<p class="warn">Medium {int(one["index"]) + 1} could not be used: {_said(str(one["reason"]))}.</p>'
        for one in case.line.unavailable
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Why post {_said(case.line.id)} has its labels</title><style>{STYLE}</style></head>
<body><main><header><h1>Post {_said(case.line.id)}</h1>
<p class="note">Labelled from {" and ".join(explanation.labels.modalities)} by {_said(model.name)}</p>{lost}</header>
<section><h2>Labels</h2>{_labels(explanation.labels.tasks)}</section>
{_without(case)}{text}{pictures}<div class="near">{near}</div>
<footer>{_said(model.name)} · checkpoint {_said(model.checkpoint)} · {_said(model.precision)} ·
graph context {_said(model.graph_context)}</footer></main></body></html>
"""


def _said(text: str) -> str:
    return escape(visible(text))


def _section(title: str, note: str, *content: str) -> str:
    return f'<section><h2>{title}</h2><p class="note">{note}</p>{"".join(content)}</section>\n'


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    return f'<div class="scroll"><table><tr>{"".join(heads)}</tr>{"".join(rows)}</table></div>'


def _labels(tasks: Mapping[str, TaskLabel]) -> str:
    cards = []
    for task, label in tasks.items():
        degrees = ""
        if label.intensity is not None:
            degrees = f'<div class="degrees">{_bars(label.intensity.probabilities, label.intensity.label)}</div>'
        cards.append(
            f'<div class="task"><h3>{task}</h3><p class="label">{_plain(label.label)}</p>'
            f"{_bars(label.probabilities, label.label, label.threshold)}{degrees}</div>"
        )
    return f'<p class="note">{_rule(tasks)}</p><div class="tasks">{"".join(cards)}</div>'


def _rule(tasks: Mapping[str, TaskLabel]) -> str:
    held = [name for name, label in tasks.items() if label.threshold is not None]
    said = "Calibrated probabilities; the largest is the label."
    return f"{said} Of {' and '.join(held)} an operator's threshold decides: the red mark." if held else said


def _bars(probabilities: Mapping[str, float], chosen: str, threshold: float | None = None) -> str:
    rows = [
        f'<div class="row{" on" if name == chosen else ""}"><span>{_plain(name)}</span>'
        f'<span><i style="width:{share:.1%}"></i>{_mark(threshold) if place == 1 else ""}</span>'
        f"<span>{share:.4f}</span></div>"
        for place, (name, share) in enumerate(probabilities.items())
    ]
    name = list(probabilities)[1]
    note = "" if threshold is None else f'<p class="held">threshold {threshold:g}: {_plain(name)} from there on</p>'
    return "".join(rows) + note


def _mark(threshold: float | None) -> str:
    """Where an operator's threshold lies on the bar of the positive class."""
    return "" if threshold is None else f'<b style="left:{threshold:.1%}" title="threshold {threshold:g}"></b>'


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _text(case: Case, reading: TextReading) -> str:
    levels = dict(zip(reading.read, strengths([word.attention or 0.0 for word in reading.read]), strict=True))
    spans = []
    for word in reading.words:
        if word.attention is None:
            spans.append(f'<span class="unread" title="not read">{_said(word.text)}</span>')
        else:
            tip = f"{word.attention:.1%}, read as \u201c{_said(word.read_as)}\u201d"
            style = f"background:rgba(var(--heat),{0.8 * levels[word]:.2f})"
            spans.append(f'<span style="{style}" title="{tip}">{_said(word.text)}</span>')
    top = max((word.attention or 0.0 for word in reading.read), default=1.0)
    rows, listed_words = [], reading.read[:_LISTED_WORDS]
    is_changed = any(word.read_as != word.text.lower() for word in listed_words)
    for word in listed_words:
        share = word.attention or 0.0
        bar = f'<td class="bar"><i style="width:{share / top:.1%}"></i></td><td class="n">{share:.1%}</td>'
        read_as = "" if word.read_as == word.text.lower() else escape(short(word.read_as))
        rows.append(f"<tr><td>{escape(short(word.text))}</td>{bar}{f'<td>{read_as}</td>' if is_changed else ''}</tr>")
    origin = "" if case.own_text else "Read off the picture: the post has no text of its own. "
    windows = f"A long text, read in {reading.windows} windows. " if reading.windows > 1 else ""
    note = (
        f"{origin}{windows}How the attention is shared among the words: the same for every task. Colour starts above "
        "an even share; words struck out are not read."
    )
    heads = ["<th>word</th>", "<th></th>", '<th class="n">share</th>', *(["<th>read as</th>"] if is_changed else [])]
    listed = _table(heads, rows) if rows else '<p class="warn">Nothing of this text can be read.</p>'
    return _section("Words", note, f'<p class="text" dir="auto">{" ".join(spans)}</p>', listed)


def _picture(case: Case, index: int, reading: RegionReading) -> str:
    picture = case.picture(index)
    picture.thumbnail((_SIDE_PIXELS, _SIDE_PIXELS))
    size = f"{reading.width} \u00d7 {reading.height} pixels"
    figures = [_figure(picture, f"As posted, {size}")]
    note = "The same attention serves every task."
    if reading.grid is None:
        note = "The regions of this encoder have no fixed place on a picture."
    else:
        rows, columns = reading.grid
        note += f" The picture is seen in {rows} by {columns} regions; colour starts above an even share."
        figures.append(_figure(heat_map(reading, picture), f"Most looked at: {reading.peak:.1f} times an even share"))
    title = "Regions" if len(case.files) == 1 else f"Regions of picture {case.media[index] + 1}"
    return _section(title, note, f'<div class="pair">{"".join(figures)}</div>')


def _figure(image: Image.Image, caption: str) -> str:
    content = BytesIO()
    image.save(content, "JPEG", quality=88)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt=""><figcaption>{caption}</figcaption></figure>'


def _near(case: Case, what: str, near: Nearest | None) -> str:
    if near is None:
        return ""
    rows = []
    for post in near.posts:
        tags = "".join(f'<span class="tag">{_plain(name)}</span>' for name in post.labels.values())
        mark = "yes" if post.in_graph else ""
        rows.append(
            f'<tr><td>{tags or _plain(post.known)}</td><td class="n">{post.cosine:.4f}</td><td>{mark}</td>'
            f'<td class="n still">{post.reference}</td></tr>'
        )
    used = "" if case.explanation.model.graph_context == "bank" else ", and this graph context leaves them out"
    note = (
        f"Reference posts of the checkpoint. {near.in_graph} of {near.candidates} are neighbours in the graph: cosine "
        f"over {case.explanation.threshold:g}{used}."
    )
    heads = (
        "<th>a post that is known to be</th>",
        '<th class="n">cosine</th>',
        "<th>neighbour</th>",
        '<th class="n">number</th>',
    )
    return _section(f"Nearest by {what}", note, _table(heads, rows))


def _without(case: Case) -> str:
    whole = case.explanation.labels.tasks
    cells = "".join(f'<td class="n">{whole[task].probabilities[whole[task].label]:.4f}</td>' for task in TASKS)
    rows = [f'<tr><td class="what">whole post</td>{cells}</tr>']
    for without in (*case.explanation.without, *case.explanation.without_words):
        left = '<br><span class="still">leaves nothing</span>' if without.nothing_left else ""
        cells = "".join(_move(case, without, task) for task in TASKS)
        rows.append(f'<tr><td class="what">without {escape(case.name(without.removal))}{left}</td>{cells}</tr>')
    heads = ["<th></th>"] + [f'<th class="n">{task}<br>{_plain(whole[task].label)}</th>' for task in TASKS]
    note = (
        "How the probability of each label moves when a part is taken away; a shaded cell names the label that takes "
        "its place. This is what tells the tasks apart."
    )
    return _section("What moves the answer", note, _table(heads, rows))


def _move(case: Case, without: Without, task: str) -> str:
    change = case.change(without, task) + 0.0
    kind = "still" if abs(change) < 0.005 else "up" if change > 0 else "down"
    flipped = case.flips(without, task)
    other = "" if flipped is None else f"<small>{_plain(flipped)}</small>"
    return f'<td class="n {kind}{" flip" if flipped else ""}">{change:+.4f}{other}</td>'
