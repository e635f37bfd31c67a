"""The five targets: records, pictures, cache entries, files of checkpoints, settings."""

import atexit
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from mmorient import CheckpointError, PictureError, check_checkpoint, decode_picture
from tests.fuzz.mutating import mutated
from tests.fuzz.running import Target
from tests.mmorient.input import odd_pictures
from tests.reading.test_fuzz import READERS, SAMPLES, SEEDS, changed, check
from tests.reading.test_fuzz import mutated as mutated_record
from worker.errors import SettingsError
from worker.labelling.cache.covering import uncover
from worker.labelling.cache.entries import UNSEALED, Entry, EntryError, Mac, pack, pack_text, unpack, unpack_text
from worker.labelling.cache.packed_readings import PACKED_BYTES
from worker.settings import Settings, load_settings
from worker.variables import variables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a post that a stranger wrote: what one picture may take is what counts, not how large it may be.
_PIXELS = 2_000_000
_CODES = {"not_a_picture", "unsupported_format", "too_many_pixels", "truncated", "corrupt"}
_WIDTH = 48
_SECRET = "swordfish-of-the-fuzzer"  # noqa: S105 - stands in no message
_JSON_TOKENS = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"1e999", b"NaN", b"9" * 5000, b"1.5", b"\xff", b"\0"),
    *(b'"\\ud83d"', b"[" * 3000, b'{"a":' * 3000, b"]", b"}", b",", b":", b'"', b"\\"),
)


# Records.


def _record(chance: random.Random) -> object:
    value = chance.choice(SEEDS if chance.random() < 0.7 else SAMPLES)
    return chance.choice([changed, changed, mutated_record])(value, chance), chance.randrange(len(READERS))


def _read_record(given: Any) -> None:
    value, reader = given
    check(value, READERS[reader])


# Pictures.


@cache
def _pictures() -> list[bytes]:
    found = [data for _, data in odd_pictures.everything()]
    return [data for data in found if len(data) < 60_000]


_CHUNKS = (
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"RIFF", b"WEBP"),
    *(b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ftypavif", b"ftypheic", b"meta", b"iloc", b"GIF89a"),
    *(
        b"\xff\xd8\xff",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xda",
        b"\xff\xd9",
        b"\xff\xe1",
        b"II*\0",
        b"MM\0*",
    ),
    *(b"BM", b"\0\0\1\0", b"\xff\x4f\xff\x51", b"!\xf9\x04", b"!\xff\x0bNETSCAPE2.0"),
)


def _picture(chance: random.Random) -> object:
    value = chance.choice(_pictures())
    if chance.random() < 0.1:
        value += chance.choice(_pictures())
    return mutated(value, chance, _CHUNKS)


def _read_picture(value: Any) -> None:
    try:
        picture = decode_picture(value, max_pixels=_PIXELS)
    except PictureError as error:
        assert error.code in _CODES, error.code  # noqa: PT017 - no test
        return
    pixels = np.asarray(picture.pixels)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


# Entries of the cache.

_MAC = Mac("a secret of the fuzzer's own", "and the one before it")
_KEY = b"mmorient:3:text:0123456789abcdef"


@cache
def _entries() -> list[tuple[bytes, bool, bool]]:
    """Return entries, each with whether it is a text's, and whether it is sealed."""
    random_ = np.random.default_rng(0)
    found = []
    for seal in (UNSEALED, _MAC):
        for _ in range(8):
            embedding = random_.normal(size=_WIDTH).astype(np.float16)
            found += [
                (pack(_KEY, Entry(embedding, reading), seal), False, seal is _MAC)
                for reading in (b"", bytes(PACKED_BYTES))
            ]
        found += [(pack_text(_KEY, text, seal), True, seal is _MAC) for text in ("", "what a day", "\N{SNOWMAN}" * 40)]
    return found


def _entry(chance: random.Random) -> object:
    value, is_text, sealed = chance.choice(_entries())
    if chance.random() < 0.1:
        value = chance.choice(_entries())[0]
    return mutated(value, chance, (b"mme3", b"mmt3", b"mmE3")), is_text, sealed


def _read_entry(given: Any) -> None:
    value, is_text, sealed = given
    seal = _MAC if sealed else UNSEALED
    try:
        if is_text:
            text = unpack_text(_KEY, value, seal)
            assert not sealed or any(value == one for one, *_ in _entries())
            uncover(text, _KEY, b"secret")
        else:
            entry = unpack(_KEY, value, _WIDTH, seal)
            assert entry.embedding.shape == (_WIDTH,)
            assert np.isfinite(entry.embedding).all()
            assert len(entry.reading) in {0, PACKED_BYTES}
            assert not sealed or any(value == one for one, *_ in _entries())
    except EntryError as error:
        assert error.kind in {"garbage", "wrong_size", "forged"}  # noqa: PT017 - no test


# Files of a checkpoint.


@cache
def prepared_checkpoint() -> Path:
    """Return a checkpoint of random weights, which nobody changes; it lies there until the process ends."""
    folder = Path(mkdtemp(prefix="fuzz-")) / "checkpoint"
    # In a process of its own: the threads of torch do not survive a fork.
    write = "import sys, pathlib; from mmorient.training.fitting.untrained import write_untrained as w; "
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    subprocess.run([sys.executable, "-c", f"{write}w(pathlib.Path(sys.argv[1]))", folder], check=True)
    return folder


@cache
def _copy(process: int) -> Path:
    """Return a checkpoint that this process may break."""
    folder = Path(mkdtemp(prefix=f"fuzz-{process}-")) / "checkpoint"
    shutil.copytree(prepared_checkpoint(), folder)
    return folder


# The heads of tensors' files decide what is read of them; their numbers are any.
# Of so many inputs the whole checkpoint is loaded, which takes a part of a second.
_WHOLE = 0.02
_FILES = ("config.json", "config.json", "calibration.json", "calibration.json", "head.safetensors", "bank.safetensors")


def _file(chance: random.Random) -> object:
    name = chance.choice(_FILES)
    value = (prepared_checkpoint() / name).read_bytes()
    whole = chance.random() < _WHOLE
    if name.endswith(".json") and chance.random() < 0.6:
        return name, changed(value, chance), whole
    return name, mutated(value, chance, _JSON_TOKENS, most=len(value) + 20_000), whole


def _read_file(given: Any) -> None:
    import torch

    from mmorient.checkpointing import loading
    from mmorient.config import Calibration, CheckpointConfig
    from mmorient.digest import CONFIG

    torch.set_num_threads(1)
    name, value, whole = given
    folder = _copy(os.getpid())
    file = folder / name
    try:
        file.write_bytes(value)
        if whole:
            _load(folder, name)
        elif name == CONFIG:
            check_checkpoint(folder)
            loading.digested_files(loading._read_json(file, CheckpointConfig))
        elif name == loading.CALIBRATION:
            json.dumps(loading._read_json(file, Calibration).model_dump(), allow_nan=False)
        elif name == loading.BANK:
            loading._read_bank(file, loading._read_json(prepared_checkpoint() / CONFIG, CheckpointConfig))
        else:
            loading._read_tensors(file)
    except CheckpointError as error:
        assert "\n" not in str(error)  # noqa: PT017 - no test
    finally:
        for restored in {name, CONFIG}:
            shutil.copyfile(prepared_checkpoint() / restored, folder / restored)


def _load(folder: Path, name: str) -> None:
    """Load a checkpoint as the worker does; whoever broke a file has written its digest too."""
    from mmorient.checkpointing.loading import load_checkpoint
    from mmorient.digest import CONFIG, file_digest

    if name != CONFIG:
        config = json.loads((prepared_checkpoint() / CONFIG).read_bytes())
        config["files"][name] = file_digest(folder / name)
        (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    load_checkpoint(folder).model()


# Settings.


@cache
def _variables() -> list[str]:
    return sorted(variables_of(Settings))


_VALUES = (
    *("", " ", "0", "-1", "1", "true", "no", "nan", "inf", "1e999", "9" * 400, "null", "{}", "[]", '{"a": 1}', "[1"),
    *("http://", "redis://a#b@c/0", "rediss://:p@[::1]:6379/0", "unix:///tmp/x", "redis://a:b:c/1", "PLAIN", "latest"),
    *('{"sentiment": "x"}', '["10.0.0.0/8", "*.a.b:80"]', '["*.*"]', "\ud83d", "\N{SNOWMAN}", "a\nb", "/dev/null"),
    *('{"text": "/a~2"}', "SASL_SSL", "OAUTHBEARER", "https://a/b", "127.0.0.1:9092,", ",", "%", "a" * 5000, "/", "."),
)


_SECRETS = ("KAFKA__SASL_PASSWORD", "KAFKA__SSL_KEY_PASSWORD", "KAFKA__OAUTH_CLIENT_SECRET", "REDIS__SECRET")


def _given(chance: random.Random) -> object:
    found: dict[str, str] = {}
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        name = chance.choice(_variables())
        if chance.random() < 0.05:
            name = name[: chance.randint(9, len(name))] + chance.choice(("", "_", "__X", "S"))
        value = chance.choice(_VALUES)
        if chance.random() < 0.3:
            value = mutated(value.encode(errors="surrogatepass"), chance, _JSON_TOKENS).decode(errors="surrogateescape")
        # No operating system lets one hold a zero.
        found[name] = value.replace("\0", "")
    if chance.random() < 0.3:
        found[f"MODERATE_{chance.choice(_SECRETS)}"] = _SECRET
    return found


@contextmanager
def _environment(found: dict[str, str]) -> "Iterator[None]":
    kept = {name: value for name, value in os.environ.items() if name.startswith("MODERATE_")}
    try:
        for name in kept:
            del os.environ[name]
        os.environ.update(found)
        yield
    finally:
        for name in found:
            os.environ.pop(name, None)
        os.environ.update(kept)


def _read_settings(given: Any) -> None:
    with _environment({name: value for name, value in given.items() if _can_be_set(value)}):
        try:
            settings = load_settings()
        except SettingsError as error:
            assert _SECRET not in str(error), str(error)  # noqa: PT017 - no test
            return
    assert _SECRET not in repr(settings)
    assert settings.redis.address is not None


def _can_be_set(value: str) -> bool:
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def prepare(names: Collection[str]) -> None:
    """Make the seeds of targets once, before the first child is made."""
    seeds: dict[str, Callable[[], object]] = {
        "pictures": _pictures,
        "entries": _entries,
        "checkpoints": prepared_checkpoint,
        "settings": _variables,
    }
    for name in names:
        seeds.get(name, dict)()


TARGETS = {
    target.name: target
    for target in (
        Target("records", _record, _read_record),
        Target("pictures", _picture, _read_picture),
        Target("entries", _entry, _read_entry),
        Target("checkpoints", _file, _read_file),
        Target("settings", _given, _read_settings),
    )
}
