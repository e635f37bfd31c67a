"""What LEFT and RIGHT name."""

from pathlib import Path

import pytest

from worker.commands.diff.read.sources import existing_topics, parse_source
from worker.errors import SettingsError


def test_a_file_that_exists_wins_over_a_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is said which is meant."""
    monkeypatch.chdir(tmp_path)
    Path("labels.sarcasm").touch()
    assert (parse_source("labels.sarcasm").kind, parse_source("file:labels.sarcasm").kind) == ("file", "file")
    assert (parse_source("topic:labels.sarcasm").kind, parse_source("labels.other").kind) == ("topic", "topic")
    assert parse_source("topic:labels.sarcasm").members == ("labels.sarcasm",)


def test_a_pattern_stands_for_the_files_or_topics_of_all_tasks_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the tasks, of a glob in that of the names."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl", "sarcasm.parquet", "sentiment.parquet"):
        Path(name).touch()
    assert parse_source("*.jsonl").members == ("a.jsonl", "b.jsonl")
    assert parse_source("{task}.parquet").members == ("sentiment.parquet", "sarcasm.parquet")
    topics = existing_topics(parse_source("labels.{task}"), ["labels.sarcasm", "labels.sentiment", "posts"], "broker:1")
    assert topics.members == ("labels.sentiment", "labels.sarcasm")
    with pytest.raises(SettingsError, match=r"other.\{task\}: neither a file nor a topic at broker:1"):
        existing_topics(parse_source("other.{task}"), ["posts"], "broker:1")


def test_a_checkpoint_is_selected_by_the_start_of_its_digest() -> None:
    """With or without what kind of digest it is."""
    assert parse_source("a", "sha256:AB12").checkpoint == parse_source("a", "ab12").checkpoint == "sha256:ab12"
    with pytest.raises(SettingsError, match="not the start"):
        parse_source("a", "' OR 1")
