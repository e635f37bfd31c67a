"""Whatever a table's cell or an array holds: nothing raises, and no value is lost or torn apart."""

import json
from io import BufferedReader, BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmorient.archive.media_shapes import media_of
from mmorient.archive.post_fields import post_json
from mmorient.files.json_rows import holds_lines
from mmorient.files.json_values import read_values

_TEXTS = st.text() | st.sampled_from(['{"url": "http://x/y"}', "[", '"', "['a.png']", "data:;base64,", "null", "{}"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(["url", "data", "bytes", "path", "ocr_text", "Media", "id"]) | _TEXTS
_CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(_NAMES, inner), max_size=3)
        | st.dictionaries(_NAMES, inner, max_size=4)
    ),
    max_leaves=12,
)


def values_of(text: str) -> list[Any]:
    """What a file is cut into."""
    source: Any = BufferedReader(BytesIO(text.encode()), 16)  # type: ignore[arg-type]
    return [json.loads(value) for _, value in read_values(source, max_bytes=10_000)]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(_JSON, max_size=5), st.sampled_from([None, 0, 2]))
def test_an_array_is_cut_into_its_values(values: list[Any], indent: int | None) -> None:
    """However it is written, also where strings hold brackets and quotes."""
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert values_of(text) == json.loads(text)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(_TEXTS, _JSON, max_size=3), min_size=1, max_size=4), st.sampled_from([0, 2]))
def test_objects_after_each_other_are_cut_apart(values: list[Any], indent: int) -> None:
    """Over many lines each, as `jq .` prints them."""
    text = "\n".join(json.dumps(value, indent=indent, ensure_ascii=False) for value in values)
    text = text.encode("utf-8", "replace").decode()
    expected = [json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) for value in values]
    assert values_of(text) == expected


@settings(max_examples=150, deadline=None)
@given(st.binary())
def test_any_bytes_are_cut_into_something(content: bytes) -> None:
    """Nothing raises, and nothing is said twice."""
    holds_lines(content)
    source: Any = BufferedReader(BytesIO(content), 16)  # type: ignore[arg-type]
    values = [value for _, value in read_values(source, max_bytes=10)]
    assert sum(len(value) for value in values if isinstance(value, bytes)) <= len(content)


@settings(max_examples=200, deadline=None)
@given(_CELLS)
def test_any_cell_is_media(cell: Any) -> None:
    """Of which JSON can be made; a picture's fields are texts."""
    media = media_of(cell)
    read = json.loads(post_json({"id": 1, "media": cell}))
    assert len(read.get("media", [])) == len(media)
    for medium in media:
        if isinstance(medium, dict):
            assert all(isinstance(value, str) for value in medium.values())
