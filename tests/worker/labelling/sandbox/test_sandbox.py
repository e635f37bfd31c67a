"""What children decode is what the worker would have decoded, and what they may not do they cannot."""

import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mmorient import Frame, Picture, PictureError, decode_picture
from tests.mmorient.input.bombs import BOMBS
from tests.mmorient.input.odd_pictures import ODD, animated, sample
from tests.tiers import some_slow
from tests.worker.labelling.sandbox.hooks.sitecustomize import FORBIDDEN
from worker.labelling.sandbox import call_filter
from worker.labelling.sandbox.decoders import Sandbox, Terms, children_of
from worker.labelling.sandbox.message import ANSWER_BYTES, MOST_FRAMES, Answer
from worker.telemetry.metrics import total

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's"),
    pytest.mark.filterwarnings("ignore"),
]
HOOKS = Path(__file__).parent / "hooks"
PICTURES = Path(__file__).parents[4] / "samples" / "pictures"
TERMS = Terms(memory_bytes=1024**3, cpu_seconds=10, most_seconds=24)
IMPATIENT = Terms(memory_bytes=1024**3, cpu_seconds=1, most_seconds=4)
Make = Callable[..., Sandbox]
# Of each format a whole one, and of the usual ones what is damaged or odd.
QUICK = {
    "JPEG", "JPEG without its last half", "JPEG with damaged EXIF", "JPEG of a CMYK printer", "JPEG lying on its side",
    "PNG", "PNG without its last half", "PNG with a see-through palette", "PNG of 16 bits, grey", "GIF",
    "animated GIF, its last frame cut", "WebP", "WebP without its last half", "AVIF with opacity", "HEIC",
    "BMP with a palette", "TIFF of CMYK", "icon of PNGs", "JPEG 2000", "SVG", "a page",
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Give two children as they are shipped."""
    made = Sandbox(children=2, max_bytes=64 * 1024**2, side=260, terms=TERMS)
    assert made.start()
    yield made
    made.close()


def hook(patch: pytest.MonkeyPatch, system: str = "C.UTF-8") -> None:
    """Let children that are started from now on do what pictures tell them."""
    patch.setenv("PYTHONPATH", os.pathsep.join([str(HOOKS), str(Path.cwd())]))
    patch.setenv("LANG", system)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Give children in which some pictures do what they like."""
    made: list[Sandbox] = []

    def make(terms: Terms = IMPATIENT, children: int = 1, system: str = "C.UTF-8") -> Sandbox:
        hook(monkeypatch, system)
        made.append(Sandbox(children=children, max_bytes=1024**2, side=224, terms=terms))
        assert made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def strangers() -> Iterator[Sandbox]:
    """Give such a child to pictures that it survives; another would not be of that kind."""
    made = Sandbox(children=1, max_bytes=1024**2, side=224, terms=TERMS)
    with pytest.MonkeyPatch.context() as patch:
        hook(patch)
        assert made.start()
    yield made
    made.close()


def outcome(decode: Callable[..., Picture], data: bytes, **options: object) -> object:
    """What became of a picture, so that it can be compared."""
    try:
        picture = decode(data, **options)
    except PictureError as error:
        return error.code
    pixels = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in (picture.pixels, *picture.later)]
    return pixels, picture.pixels.shape, picture.width, picture.height, picture.text, picture.painted


def test_samples_have_the_same_bits(sandbox: Sandbox) -> None:
    """All sample pictures, squeezed and cut, in the usual size and another."""
    for file in sorted(PICTURES.iterdir()):
        data = file.read_bytes()
        for frame in (Frame(), Frame(260, centre=True)):
            assert outcome(sandbox.decode_picture, data, frame=frame) == outcome(decode_picture, data, frame=frame)


@pytest.mark.parametrize("name", some_slow(ODD, ODD.keys() - QUICK))
def test_odd_pictures_have_the_same_bits(sandbox: Sandbox, name: str) -> None:
    """Every format and every damage that the decoder knows."""
    data = ODD[name].make()
    assert outcome(sandbox.decode_picture, data) == outcome(decode_picture, data)


@pytest.mark.parametrize("kind", some_slow(["GIF", "PNG", "WEBP", "AVIF"], {"GIF", "WEBP"}))
def test_animations_have_the_same_bits(sandbox: Sandbox, kind: str) -> None:
    """Several frames, in their order."""
    assert sandbox.decode_picture(animated(kind)).later
    assert outcome(sandbox.decode_picture, animated(kind)) == outcome(decode_picture, animated(kind))


@pytest.mark.soak
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_have_the_same_bits(sandbox: Sandbox, name: str) -> None:
    """What asks for much, within its limits."""
    data = BOMBS[name]()
    assert outcome(sandbox.decode_picture, data) == outcome(decode_picture, data)


class ShapeReader:
    """Reads the shape and the digest of what it is given, and paints a corner."""

    reads = paints = True

    def looks_at(self, *, read: bool) -> bool:
        """Always."""
        return read or self.paints

    def treat(self, rgb: np.ndarray, square: np.ndarray, *, read: bool, frame: Frame) -> tuple[np.ndarray, str | None]:
        """Paint and read."""
        painted = square.copy()
        painted[: frame.side // 8] = rgb[0, 0]
        return painted, f"{rgb.shape} {hashlib.sha256(rgb.tobytes()).hexdigest()}" if read else None


@pytest.mark.parametrize("read_text", some_slow([True, False], {"False"}))
def test_what_is_drawn_is_read_off_the_same_bits(sandbox: Sandbox, read_text: bool) -> None:  # noqa: FBT001
    """The frames in which text is read come whole, and are treated in the worker."""
    options = {"drawn_text": ShapeReader(), "read_text": read_text}
    for data in (*(animated(kind) for kind in ("GIF", "WEBP")), *(file.read_bytes() for file in PICTURES.iterdir())):
        assert outcome(sandbox.decode_picture, data, **options) == outcome(decode_picture, data, **options)


@pytest.mark.parametrize(
    "mark",
    some_slow([b"abort", b"fault", b"sleep", b"leave"], {"fault", "sleep", "leave"}, bytes.decode),
    ids=bytes.decode,
)
def test_a_deadly_picture_costs_itself(hostile: Make, mark: bytes) -> None:
    """It has a reason code, its end is counted, and the next picture is decoded."""
    decoders = hostile(Terms(1024**3, 1, 1.5))
    before = total("moderate_decoder_ends_total")
    with pytest.raises(PictureError) as raised:
        decoders.decode_picture(sample("PNG") + b"moderate-test:" + mark)
    assert raised.value.code == "decoder_failed"
    # Time is not given twice.
    assert total("moderate_decoder_ends_total") - before == (1 if mark == b"sleep" else 2)
    assert outcome(decoders.decode_picture, sample("PNG")) == outcome(decode_picture, sample("PNG"))


@pytest.mark.slow
def test_a_picture_that_computes_for_ever_is_ended_by_the_kernel(hostile: Make) -> None:
    """After its time of the processor, which is less than its time by the clock."""
    decoders = hostile(Terms(1024**3, 1, 60))
    started = time.monotonic()
    with pytest.raises(PictureError, match="of the processor"):
        decoders.decode_picture(sample("PNG") + b"moderate-test:burn")
    assert time.monotonic() - started < 30
    assert decoders.decode_picture(sample("PNG")).width


def test_memory_is_bounded(hostile: Make) -> None:
    """What takes more than it may is refused by the kernel; the child grows no further."""
    decoders = hostile(Terms(200 * 1024**2, 5, 20))
    with pytest.raises(PictureError) as raised:
        decoders.decode_picture(sample("PNG") + b"moderate-test:swell")
    assert raised.value.code == "decoder_failed"
    assert decoders.decode_picture(sample("PNG")).width


def test_neighbours_go_on_beside_a_hanging_picture(hostile: Make) -> None:
    """Another child decodes what comes meanwhile."""
    decoders = hostile(Terms(1024**3, 10, 3), children=2)
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(outcome, decoders.decode_picture, sample("PNG") + b"moderate-test:sleep")
        time.sleep(0.2)
        expected = outcome(decode_picture, sample("PNG"))
        for _ in range(20):
            assert outcome(decoders.decode_picture, sample("PNG")) == expected
        assert not hanging.done()
        assert hanging.result() == "decoder_failed"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="one of them is a call by its number")
@pytest.mark.parametrize("mark", FORBIDDEN, ids=bytes.decode)
def test_strangers_code_can_do_nothing(strangers: Sandbox, mark: bytes) -> None:
    """No file, no socket, no process, no code, no higher limit."""
    assert outcome(strangers.decode_picture, sample("PNG") + b"moderate-test:" + mark) == "corrupt"


def test_limits_hold_where_calls_are_not_filtered(hostile: Make) -> None:
    """A system without seccomp is said so in one line; there are still no files and no network."""
    with capture_logs() as lines:
        decoders = hostile(system="moderate-test-no-filter")
    assert [(line["log_level"], line["lacking"]) for line in lines] == [("warning", ["system_calls"])]
    for mark in (b"read a file", b"write a file", b"open a socket"):
        assert outcome(decoders.decode_picture, sample("PNG") + b"moderate-test:" + mark) == "corrupt", mark


def test_a_filter_that_is_too_tight_is_gone_without(hostile: Make) -> None:
    """A child that ends of it is started without it."""
    with capture_logs() as lines:
        decoders = hostile(system="moderate-test-tight-filter")
    assert lines[-1]["lacking"] == ["system_calls"]
    assert decoders.decode_picture(sample("PNG")).width


def test_without_any_child_the_worker_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in one line."""
    monkeypatch.setattr("worker.labelling.sandbox.decoders._MODULE", "worker.no_such_module")
    with capture_logs() as lines:
        assert not Sandbox(children=1, max_bytes=1024, side=224, terms=TERMS).start()
    assert [line["event"] for line in lines] == ["pictures_decoded_in_process"]


def test_children_know_no_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their environment has what they need to find their modules, and they hold no file but their own."""
    monkeypatch.setenv("MODERATE_REDIS__SECRET", "a secret of sixteen")
    made = Sandbox(children=1, max_bytes=1024**2, side=224, terms=TERMS)
    assert made.start()
    for one in (made, sandbox):
        child = psutil.Process(one._children[0]._process.pid)
        assert not [name for name in child.environ() if name.startswith("MODERATE_")]
        assert child.open_files() == []
    made.close()


def test_children_end_with_their_parent() -> None:
    """However it ends."""
    script = """if True:
        import time
        from worker.labelling.sandbox.decoders import Sandbox, Terms
        made = Sandbox(children=1, max_bytes=1024, side=224, terms=Terms(2**30, 5, 5))
        assert made.start()
        print(*(child._process.pid for child in made._children), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if "pictures_confined" not in line)
        children = [psutil.Process(int(pid)) for pid in line.split()]
        assert len(children) == 1
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_closing_ends_what_is_under_way(hostile: Make) -> None:
    """A thread that waits for a picture comes back."""
    decoders = hostile(Terms(1024**3, 10, 60))
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(decoders.decode_picture, sample("PNG") + b"moderate-test:sleep")
        time.sleep(0.3)
        decoders.close()
        assert hanging.exception(timeout=10) is not None


def test_a_child_is_small() -> None:
    """It imports neither torch nor the worker."""
    script = "import sys, worker.labelling.sandbox.child; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pydantic", "structlog", "asyncio", "aiokafka", "faust", "multiprocessing"} & set(loaded)


@given(st.binary(min_size=ANSWER_BYTES, max_size=ANSWER_BYTES))
def test_whatever_a_child_says_leads_nowhere_else(said: bytes) -> None:
    """An answer is a known code, or frames that lie within the memory; anything else ends the child."""
    try:
        answer = Answer.unpacked(said)
    except ValueError:
        return
    assert answer.code is not None or 1 <= answer.frames <= MOST_FRAMES
    assert all(1 <= length <= 1024 for shape in answer.legible for length in shape)


def test_answers_survive_the_pipe() -> None:
    """What is packed is unpacked."""
    for answer in (Answer(code="corrupt"), Answer(None, 2, 7, 9, ((3, 1024), (5, 6))), Answer(None, 1, 2**31, 1)):
        assert Answer.unpacked(answer.packed()) == answer


def test_filters_are_whole() -> None:
    """Every jump of a filter leads within it; a processor whose numbers are unknown has none."""
    for machine in ("x86_64", "aarch64"):
        steps = call_filter.program(machine)
        assert steps is not None
        count = len(steps) // 8
        for index in range(count):
            code, met, otherwise = steps[8 * index], steps[8 * index + 2], steps[8 * index + 3]
            assert code == 0x06 or index + 1 + max(met, otherwise) < count
    assert call_filter.program("riscv64") is None


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="no filter is known for it")
def test_all_measures_are_had_here() -> None:
    """On the machines that the tests run on."""
    made = Sandbox(children=1, max_bytes=1024, side=224, terms=TERMS)
    with capture_logs() as lines:
        assert made.start()
    made.close()
    assert [(line["log_level"], line["lacking"]) for line in lines] == [("info", [])]


def test_there_are_as_many_children_as_processors() -> None:
    """Four at most, unless more threads were asked for."""
    assert 1 <= children_of(1) <= 4
    assert children_of(9) == 9
