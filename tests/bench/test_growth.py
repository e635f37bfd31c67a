"""Growth is shown as it was measured, and posts of a point are what the point says."""

import json
from pathlib import Path

import pytest

from bench.figures import BEGIN, END, PARTS, RESULTS, renewed
from bench.growth.points import HELD_OUT, POINTS
from bench.growth.posts import POOL, Kind, make, pool
from bench.growth.showing import axis, growth, show
from bench.results_files import MISSING
from bench.scaling import plot, render
from tests.bench import growth_figures


def test_posts_are_of_the_kind_that_a_point_names() -> None:
    """Words, new pictures and texts seen before come in the shares that were asked for; new ones are all new."""
    kind = Kind(words=20, pictures=0.3, reposts=0.5)
    made = make(kind, 1000, "one")
    posts = [json.loads(value) for value in made.values]
    assert all(len(post["text"].split()) == 20 for post in posts)
    assert made.reposts == pytest.approx(0.5)
    assert made.pictures == pytest.approx(0.15, abs=0.03)
    assert len({post["id"] for post in posts}) == 1000
    seen = {json.loads(value)["text"] for value in pool(kind)}
    again = {post["text"] for post in posts} & seen
    assert len(again) == len(seen) == POOL
    other = {json.loads(value)["text"] for value in make(kind, 1000, "two").values}
    assert other & {post["text"] for post in posts} == again
    assert len({post["media"][0]["data"] for post in posts if "media" in post}) == round(1000 * made.pictures)


def test_each_axis_changes_one_thing() -> None:
    """Points of an axis differ in what it is named for and in nothing else; no fitted point is held out too."""
    for name in {point.axis for point in POINTS} - {HELD_OUT}:
        rest = {
            (
                0 if name == "partitions" else point.partitions,
                0 if name == "workers" else point.workers,
                name == "redis" or point.redis,
                tuple(value for key, value in sorted(vars(point.kind).items()) if key != name),
            )
            for point in POINTS
            if point.axis == name
        }
        assert len(rest) == 1, name


def test_the_tables_say_what_was_measured_and_what_failed() -> None:
    """A row a point, in the order of the axis; a point that failed is named; memory is said with its slope."""
    data = growth_figures.growth()
    said = show(data)
    assert [point["at"] for point, _ in axis(data, "workers")] == [1, 2, 4]
    assert "Not measured, since they failed: workers 8." in said
    assert "| 64 | 9.0 | 2.5 | 0.8 |" in said
    assert "| 3 | 8 | 300 | 2,700 |" in said
    assert "| a text of 200 words, 256 tokens with padding | 78,000 |" in said
    assert "800 MB after a third of it, 900 MB in the end" in said


def test_the_slope_of_memory_is_megabytes_an_hour() -> None:
    """A tenth of a megabyte a minute is six an hour, whatever the first third did."""
    samples = [(minute, 500.0 if minute < 20 else 100 + 0.1 * minute) for minute in range(60)]
    assert growth(samples) == pytest.approx(6.0)


@pytest.mark.soak
def test_plots_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """Growth, waits and memory as SVG and PNG, the same bytes each time; nothing without results."""
    assert plot(tmp_path, tmp_path) == []
    assert render(tmp_path).count(MISSING) == 2
    assert "assets/" not in render(tmp_path)
    (tmp_path / "growth.json").write_text(json.dumps(growth_figures.growth()))
    files = plot(tmp_path, tmp_path)
    assert {file.name for file in files} == {
        f"growth{what}.{ending}" for what in ("", "-waits") for ending in ("svg", "png")
    }
    first = {file: file.read_bytes() for file in files}
    plot(tmp_path, tmp_path)
    assert {file: file.read_bytes() for file in files} == first
    assert "assets/growth-waits.svg" in render(tmp_path)


@pytest.mark.parametrize("page", list(PARTS), ids=lambda page: page.name)
def test_a_page_shows_the_results(page: Path) -> None:
    """What stands between the marks of a page is what the results give now."""
    text = page.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert renewed(text, PARTS[page](RESULTS)) == text, "run `python -m bench.figures`"
