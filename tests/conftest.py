"""What all tests share: the profile of generated examples, and the tiers."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.tier_files import possible_tiers
from tests.tiers import FIXTURES, ROOT, SOURCES, TIERS, refuse, tier_of

# CI asks the same questions every time; a run by hand asks new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# As many processes as cores run tests side by side: threads of torch would only wait for one another, and do so
# without sleep. A training run of 7 s took over 100 s. Where one process runs tests, it has all cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Of one test of `soak`, unless it says its own. Most take a minute on two quiet cores, and a machine with other work
# takes many times as long: what hangs is to be ended, not what is slow.
_SOAK_SECONDS = 900


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that the Makefile's targets use."""
    parser.addoption("--tier", choices=TIERS, help="run the tests of this tier alone")
    parser.addoption("--kubernetes", action="store_true", help="collect tests/kubernetes, which no tier has")


def pytest_configure(config: pytest.Config) -> None:
    """Hold `check` to what it is: torch's start alone would take a tenth of its time."""
    if config.getoption("--tier") == "check":
        sys.addaudithook(refuse)
    # Thousands of tests and the syntax of their files are made and kept: to look for garbage among them again and
    # again takes a third of the collection's time.
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what was collected."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that have no test in the tier: an import is dear, the more where it loads torch."""
    tier = config.getoption("--tier")
    if not tier or not collection_path.match("test_*.py"):
        return None
    return tier not in possible_tiers(collection_path, SOURCES) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by its needs, and select those of the tier that is asked for."""
    loads_model = {path: bool(SOURCES.heavy(path)) for path in {item.path for item in items} if ROOT in path.parents}
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in FIXTURES:
                item.add_marker(FIXTURES[fixture])
        if loads_model.get(item.path):
            item.add_marker("model")
        if item.get_closest_marker("soak") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SOAK_SECONDS))
    if tier := config.getoption("--tier"):
        chosen = [item for item in items if tier_of({mark.name for mark in item.iter_markers()}) == tier]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


@pytest.fixture
def kept_logging() -> Iterator[None]:
    """Put logging back after a test that sets it up in this process."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.disable(disabled)
    structlog.reset_defaults()
