"""The events as the contract fixes them: models, golden examples, JSON Schemas, and what may change."""

import copy
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas import EVENTS, DeadLetter, Event, Label, LabelSet, Post
from schemas.compatibility import breaking_changes
from schemas.generate import FOLDER, render

PACKAGE = FOLDER.parent
EXAMPLES = [(event, path) for event in EVENTS for path in sorted((PACKAGE / "examples" / event.name).glob("*.json"))]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_schema_file_is_current(event: Event) -> None:
    """The JSON Schema files say what the models say (`python -m schemas.generate` writes them)."""
    assert (FOLDER / event.file_name).read_text(encoding="utf-8") == render(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_published_schema_is_not_broken(event: Event) -> None:
    """No model has changed so that the other side of a published schema breaks."""
    published = json.loads((PACKAGE / "published" / event.file_name).read_text(encoding="utf-8"))
    assert breaking_changes(published, json.loads(render(event)), event.role) == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_every_event_has_an_example(event: Event) -> None:
    """Every event has at least one golden example."""
    assert any(example is event for example, _ in EXAMPLES)


@pytest.mark.parametrize(("event", "path"), EXAMPLES, ids=lambda value: getattr(value, "stem", ""))
def test_golden_example_round_trips(event: Event, path: Path) -> None:
    """Golden examples are read, and what is written by us is written byte for byte the same."""
    text = path.read_text(encoding="utf-8").strip()
    if event.model is DeadLetter:
        headers = [(name, str(value).encode()) for name, value in json.loads(text).items()]
        assert DeadLetter.from_headers(headers).headers() == headers
    elif event.model is Post:
        assert Post.model_validate_json(text).id == json.loads(text)["id"]
    else:
        assert event.model.model_validate_json(text).model_dump_json() == text


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ('{"text": "no id"}', "id"),
        ('{"id": "", "text": "x"}', "id"),
        ('{"id": "a"}', "text or media"),
        ('{"id": "a", "text": "  \\n"}', "text or media"),
        ('{"id": "a", "media": []}', "text or media"),
        ('{"id": true, "text": "x"}', "id"),
        ('{"id": 5.0, "text": "x"}', "id"),
        ('{"id": "a", "text": {"en": "x"}}', "text"),
        ("[]", "object"),
    ],
)
def test_what_is_not_a_post_is_refused(value: str, field: str) -> None:
    """A missing or mistyped field is refused, and the error names it."""
    with pytest.raises(ValidationError, match=field):
        Post.model_validate_json(value)


def test_unknown_fields_are_refused_where_we_write() -> None:
    """A Label cannot carry a field that its schema does not know."""
    golden = json.loads((PACKAGE / "examples/label/sarcasm.json").read_text(encoding="utf-8"))
    with pytest.raises(ValidationError, match="verdict"):
        Label.model_validate(golden | {"verdict": "fine"})
    with pytest.raises(ValidationError, match="labels"):
        LabelSet.model_validate(golden | {"schema": "label-set/1"})


def test_an_earlier_reason_is_replaced() -> None:
    """A dead letter of a dead letter says why it failed last, once, after the record's own headers."""
    first = DeadLetter(
        topic="posts",
        partition=0,
        offset=1,
        stage="decode",
        exception_class_name="ValueError",
        exception_message="a",
    )
    second = first.model_copy(update={"stage": "infer"})
    headers = second.headers([("trace", b"1"), *first.headers()])
    assert headers[0] == ("trace", b"1")
    assert [value for name, value in headers if name == "__connect.errors.stage"] == [b"infer"]


def _label_schema() -> dict[str, object]:
    event = next(event for event in EVENTS if event.name == "label")
    schema: dict[str, object] = json.loads(render(event))
    return schema


def test_breaking_changes_of_a_written_event_are_found() -> None:
    """A consumer breaks when a field goes, becomes optional, changes type, or takes values it never had."""
    old = _label_schema()
    gone, retyped, optional, widened = (copy.deepcopy(old) for _ in range(4))
    del gone["properties"]["post_id"]  # type: ignore[attr-defined]
    retyped["properties"]["task"] = {"type": "integer"}  # type: ignore[index]
    optional["required"].remove("source")  # type: ignore[attr-defined]
    widened["$defs"]["ModelStamp"]["properties"]["precision"]["enum"].append("int8")  # type: ignore[index]
    assert any("post_id" in line for line in breaking_changes(old, gone, "written"))
    assert any("task" in line for line in breaking_changes(old, retyped, "written"))
    assert any("source" in line for line in breaking_changes(old, optional, "written"))
    assert any("precision" in line for line in breaking_changes(old, widened, "written"))


def test_an_added_field_breaks_nobody() -> None:
    """A new field in a written event, and a new optional field in a read one, are no breaking change."""
    old = _label_schema()
    added = copy.deepcopy(old)
    added["properties"]["language"] = {"type": "string"}  # type: ignore[index]
    added["required"].append("language")  # type: ignore[attr-defined]
    assert breaking_changes(old, added, "written") == []
    post = json.loads((FOLDER / "post-1.schema.json").read_text(encoding="utf-8"))
    more = copy.deepcopy(post)
    more["properties"]["likes"] = {"type": "integer"}
    assert breaking_changes(post, more, "read") == []


def test_breaking_changes_of_a_read_event_are_found() -> None:
    """A producer breaks when we ask for more: a required field, a narrower type, a tighter limit."""
    old = json.loads((FOLDER / "post-1.schema.json").read_text(encoding="utf-8"))
    required, retyped, tighter = (copy.deepcopy(old) for _ in range(3))
    required["required"].append("author_id")
    retyped["properties"]["text"] = {"type": "integer"}
    tighter["properties"]["id"]["maxLength"] = 8
    assert any("author_id" in line for line in breaking_changes(old, required, "read"))
    assert any("text" in line for line in breaking_changes(old, retyped, "read"))
    assert any("maxLength" in line for line in breaking_changes(old, tighter, "read"))
