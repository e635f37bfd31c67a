"""Tables and plots come from the JSON of benches, and the page shows them."""

import json
from pathlib import Path

import pytest

from bench.figures import BEGIN, END, PAGE, RESULTS, plot, render, renewed
from bench.peers import peers
from bench.peers.showing import medians, ratios, show
from bench.peers.turns import posts_of
from bench.results_files import MISSING


def figures(rate: float, p99: float = 1.0) -> dict[str, float]:
    """Return one turn's."""
    return {
        "posts_a_second": rate,
        "p50_seconds": 0.5,
        "p99_seconds": p99,
        "processor_us": 400.0,
        "memory_mb": 200.0,
        "repeats": 0,
    }


DATA = {
    "measured": {"device": {"machine": "2 cores", "date": "2026-11-30", "turns": 3, "seconds": 6.0}},
    "partitions": 16,
    "batch": 256,
    "loads": {
        "device": {
            "moderate": [figures(1500), figures(1200), figures(1800)],
            "quix": [figures(1000), {"error": "ended"}, figures(900)],
            "arroyo": [{"error": "ended"}] * 3,
        }
    },
    "faults": {
        "moderate": {"fed": 7200, "lost": 0, "duplicated": 0, "settled": True, "longest_standstill_seconds": 9.24,
                     "peak_memory_mb": 800.0, "faults": {"worker-kill": 10}},
        "quix": {"error": "no report"},
    },
    "fault_settings": {"seed": 24, "minutes": 3.0, "rate": 40.0, "machine": "2 cores", "date": "2026-11-30"},
}  # fmt: skip


def test_ratios_are_of_turns_in_which_both_ran() -> None:
    """A turn that failed counts for neither; medians are of those that are left."""
    loads = DATA["loads"]["device"]  # type: ignore[index]
    assert ratios(loads["moderate"], loads["quix"]) == [1.5, 2.0]
    assert medians(loads["quix"]) == figures(950)
    assert medians(loads["arroyo"]) is None


def test_the_tables_say_what_was_measured_and_what_failed() -> None:
    """One row a program: its promise, its ratio with each turn, and a failure as what it is."""
    said = show(DATA)
    assert "| moderate | exactly once | 1,500 |  | 0.50 | 1.00 | 400 | 200 | 0 |" in said
    assert "| quix | exactly once | 950 | 1.75 (1.50 2.00) | 0.50 |" in said
    assert "| arroyo | at least once | failed |" in said
    assert "**3 minutes of faults, seed 24, 40 posts a second**" in said
    assert "| moderate | 7,200 | 0 | 0 | yes | 9.2 | 10 worker-kill |" in said
    assert "| quix | no report |" in said


def test_plots_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """An SVG and a PNG of speed and of faults, the same bytes each time; nothing without results."""
    assert plot(tmp_path, tmp_path) == []
    assert render(tmp_path).count(MISSING) == 1
    assert "peers-speed" not in render(tmp_path)
    (tmp_path / "peers.json").write_text(json.dumps(DATA))
    files = plot(tmp_path, tmp_path)
    assert {file.name for file in files} == {
        f"peers-{what}.{ending}" for what in ("speed", "faults") for ending in ("svg", "png")
    }
    first = {file: file.read_bytes() for file in files}
    plot(tmp_path, tmp_path)
    assert {file: file.read_bytes() for file in files} == first
    assert "assets/peers-faults.svg" in render(tmp_path)


def test_the_page_shows_the_results() -> None:
    """What stands between the marks of `docs/figures.md` is what the results give now."""
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page, render(RESULTS)) == page, "run `python -m bench.figures`"
    with pytest.raises(ValueError, match="no <!--"):
        renewed("a page", "part")
    assert renewed(f"a\n{BEGIN}\nold\n{END}\nz", "new\n") == f"a\n{BEGIN}\nnew\n{END}\nz"


@pytest.mark.parametrize("load", ["device", "cached"])
def test_no_two_posts_have_one_id(load: peers.Load) -> None:
    """Labels are told apart by it; new texts differ too, and cached ones are a thousand."""
    make = posts_of(load)
    posts = [*make(1500), *make(600)]
    assert len({key for key, _ in posts}) == len(posts)
    texts = {json.loads(value)["text"] for _, value in posts}
    assert len(texts) == (len(posts) if load == "device" else 1000)


def test_every_peer_is_pinned_and_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a file of exact versions, a program that is there, and the batch and device of the others."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = Path(peers.__file__).parent
    where = peers.Where("k:1", "g", "posts", ("a", "b", "c"))
    told = []
    for one in peers.PEERS:
        lines = (here / "requirements" / f"{one.packages}.txt").read_text(encoding="utf-8").splitlines()
        pinned = [line for line in lines if line and not line.startswith("#")]
        assert pinned
        assert all("==" in line for line in pinned), one.name
        assert (here / "apps" / one.program[0]).exists()
        variables = one.environment(where, session_seconds=3.0)
        for own in ("PEER_SCRATCH", "PEER_PORT", *dict(one.more)):
            variables.pop(own)
        told.append(variables)
    assert all(one == told[0] for one in told)
