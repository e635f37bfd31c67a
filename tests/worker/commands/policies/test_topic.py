"""`moderate policies publish`, `show` and `withdraw`, on a real Kafka."""

import json
from pathlib import Path

import pytest

from tests.worker.policies.rules import rule
from tests.worker.system import Stream
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_control_topic
from worker.commands.policies.topic import publish_policies, show_policies, withdraw_policies
from worker.errors import FatalError, SettingsError
from worker.policies.policies import Policies
from worker.policies.reading import read_policies
from worker.policies.rule import Rule
from worker.policies.writing import as_toml


def folder_of(path: Path, *rules: Rule) -> Path:
    """Write rules to a folder."""
    path.mkdir(exist_ok=True)
    (path / "rules.toml").write_text(as_toml(rules), encoding="utf-8")
    return path


async def test_published_shown_withdrawn(stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What changes is said before; what is shown can be read back; former versions are still there by their names."""
    kafka = stream.kafka_settings.model_copy(update={"policies_topic": f"{stream.name}.policies"})
    old, new = [rule("a"), rule("gone")], [rule("a", threshold=0.8, community='"odd"\x7f'), rule("new", shadow=True)]
    old[1] = rule("gone", decision="mute")
    first, second = Policies(old).version, Policies(new).version
    links = KafkaLinks(stream.servers.kafka, kafka)
    with pytest.raises(FatalError, match="does not exist: run `moderate topics create`"):
        await show_policies(kafka, None, as_json=False)
    async with links.connected_admin() as admin:
        await create_control_topic(admin, kafka.policies_topic, replication_factor=1)

    def said() -> str:
        return capsys.readouterr().out

    for work in (show_policies(kafka, None, as_json=False), withdraw_policies(kafka)):
        with pytest.raises(FatalError, match="nothing is published on"):
            await work
    with pytest.raises(SettingsError, match="humour is not published"):
        await publish_policies(
            kafka, folder_of(tmp_path / "h", rule("h", task="humour", label="humorous")), dry_run=False
        )
    await publish_policies(kafka, folder_of(tmp_path / "old", *old), dry_run=True)
    assert said() == f"+ a\n+ gone\nwould be published: {first} (now: nothing)\n"
    await publish_policies(kafka, folder_of(tmp_path / "old", *old), dry_run=False)
    assert said() == f"+ a\n+ gone\npublished: {first} (before: nothing)\n"
    await publish_policies(kafka, folder_of(tmp_path / "new", *new), dry_run=False)
    lines = said().splitlines()
    assert lines[:2] == ["- gone", "+ new"]
    assert lines[2].startswith("~ a: community ")
    assert lines[2].endswith("threshold 0.7 to 0.8")
    assert lines[3] == f"published: {second} (before: {first})"

    await show_policies(kafka, None, as_json=False)
    shown = said()
    assert shown.startswith(f"# {second}, in force\n[[rule]]\n")
    (tmp_path / "back").mkdir()
    (tmp_path / "back/rules.toml").write_text(shown, encoding="utf-8")
    assert read_policies(tmp_path / "back").version == second
    await show_policies(kafka, first.removeprefix("sha256:")[:12], as_json=True)
    assert json.loads(said()) == {
        "version": first,
        "in_force": False,
        "rules": [one.model_dump() for one in old],
    }
    with pytest.raises(FatalError, match="no version begins with sha256:x; published were: sha256:"):
        await show_policies(kafka, "x", as_json=False)

    await withdraw_policies(kafka)
    assert said() == f"withdrawn: {second}\n"
    with pytest.raises(FatalError, match="nothing is published on"):
        await show_policies(kafka, None, as_json=False)
    await show_policies(kafka, second, as_json=False)
    assert said().startswith(f"# {second}\n")
