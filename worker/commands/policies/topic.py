"""The control topic as commands use it: a policy is published, withdrawn, or shown."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from worker.broker.clients import KafkaLinks
from worker.broker.topics import topic_configs
from worker.broker.transaction import write
from worker.commands.terminal import harmless
from worker.control.published import IN_FORCE
from worker.control.topic import ControlTopic, Values
from worker.errors import FatalError, SettingsError
from worker.items import OutgoingRecord
from worker.policies.canonical import dumps, fields_of, loads
from worker.policies.policies import Policies
from worker.policies.reading import read_policies
from worker.policies.rule import Rule
from worker.policies.writing import as_toml
from worker.settings import KafkaSettings

_SHORT = len("sha256:") + 12


async def publish_policies(kafka: KafkaSettings, folder: Path, *, dry_run: bool) -> None:
    """Put the policy of a folder in force, and say what changes.

    Args:
        kafka: names of the topics.
        folder: of the rules.
        dry_run: whether nothing is published.

    Raises:
        SettingsError: the policy is wrong, or no worker could use it.
        FatalError: the broker does not answer, or there is no control topic.
    """
    policies = read_policies(folder)
    policies.refuse_unpublished(kafka.routes)
    links, values = await _values(kafka)
    before = _policies_of(values.get(IN_FORCE))
    for line in _changed(() if before is None else before.rules, policies.rules):
        click.echo(line)
    was = "nothing" if before is None else before.version
    if dry_run:
        click.echo(f"would be published: {policies.version} (now: {was})")
        return
    value = dumps(policies.rules)
    # What a version was stands there before any decision names it.
    await _write(links, kafka, {policies.version.encode(): value, IN_FORCE: value})
    click.echo(f"published: {policies.version} (before: {was})")


async def withdraw_policies(kafka: KafkaSettings) -> None:
    """Let workers go by their folders again; what versions were is kept.

    Raises:
        FatalError: the broker does not answer, or nothing is published.
    """
    links, values = await _values(kafka)
    if values.get(IN_FORCE) is None:
        raise _nothing(kafka)
    await _write(links, kafka, {IN_FORCE: None})
    before = _policies_of(values[IN_FORCE])
    click.echo(f"withdrawn: {'what could not be read' if before is None else before.version}")


async def show_policies(kafka: KafkaSettings, version: str | None, *, as_json: bool) -> None:
    """Print a published policy.

    Args:
        kafka: names of the topics.
        version: of it, or its beginning; None for the one in force.
        as_json: print for a program.

    Raises:
        FatalError: the broker does not answer, or nothing is published, or no such version.
        SettingsError: what is published is of a later release.
    """
    _, values = await _values(kafka)
    in_force = values.get(IN_FORCE)
    if version is None and in_force is None:
        raise _nothing(kafka)
    value = in_force if version is None else _of_version(values, version)
    policies = Policies(loads(value or b""))
    now = value == in_force
    if as_json:
        rules = fields_of(policies.rules)
        click.echo(json.dumps({"version": policies.version, "in_force": now, "rules": rules}))
        return
    click.echo(f"# {policies.version}{', in force' if now else ''}")
    click.echo(as_toml(policies.rules), nl=False)


async def _values(kafka: KafkaSettings) -> tuple[KafkaLinks, Values]:
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    topic = ControlTopic(links, kafka.policies_topic)
    async with links.connected_admin() as admin:
        await topic.check(admin)
        said = await topic_configs(admin, kafka.policies_topic, ["cleanup.policy"])
    if "compact" not in said.get("cleanup.policy", "compact"):
        click.echo(
            f"moderate: {kafka.policies_topic} is not compacted: retention will take away what is in force", err=True
        )
    return links, await topic.values()


async def _write(links: KafkaLinks, kafka: KafkaSettings, values: Values) -> None:
    producer = links.plain_producer()
    await producer.start()
    try:
        records = [OutgoingRecord(kafka.policies_topic, key, value, []) for key, value in values.items()]
        await write(producer, {0: records})
    finally:
        await producer.stop()


def _policies_of(value: bytes | None) -> Policies | None:
    """Return what is published; None for nothing, and for what this release cannot read."""
    try:
        return None if value is None else Policies(loads(value))
    except SettingsError:
        return None


def _of_version(values: Values, version: str) -> bytes:
    wanted = version if version.startswith("sha256:") else f"sha256:{version}"
    found = [key for key, value in values.items() if value is not None and key.startswith(wanted.encode())]
    if len(found) != 1:
        known = ", ".join(sorted(key.decode()[:_SHORT] for key in values if key != IN_FORCE)) or "none"
        said = "no version" if not found else "more than one version"
        raise FatalError(f"{said} begins with {harmless(wanted, 80)}; published were: {known}")
    return values[found[0]] or b""


def _nothing(kafka: KafkaSettings) -> FatalError:
    return FatalError(f"nothing is published on {kafka.policies_topic}: each worker goes by its own MODERATE_POLICIES")


def _changed(before: Sequence[Rule], after: Sequence[Rule]) -> list[str]:
    old, new = ({rule.name: rule for rule in rules} for rules in (before, after))
    lines = [f"- {name}" for name in sorted(old.keys() - new.keys())]
    lines += [f"+ {name}" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        fields = [
            f"{field} {json.dumps(getattr(old[name], field))} to {json.dumps(getattr(new[name], field))}"
            for field in Rule.model_fields
            if getattr(old[name], field) != getattr(new[name], field)
        ]
        lines += [f"~ {name}: {', '.join(fields)}"] if fields else []
    return lines
