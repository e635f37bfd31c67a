"""`moderate import`."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mmorient import Refusals
from worker.commands.options import SettingsCommand, settings_options
from worker.errors import FatalError, SettingsError

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient

    from mmorient import Archive
    from worker.broker.clients import KafkaLinks
    from worker.commands.import_archive.progress import Progress
    from worker.commands.import_archive.records import Malformed, Outcome, RecordMaker
    from worker.commands.import_archive.run import Import
    from worker.commands.import_archive.terms import Terms
    from worker.settings import Settings

_DIGEST_CHARS = 12
_HOW_TO_SEND = ", --malformed send those that were refused"


@click.command("import", cls=SettingsCommand)
@click.argument("paths", nargs=-1, required=True)
@click.option("--topic", help="Where the posts go; the worker's posts topic otherwise.")
@click.option("--key", default="id", show_default=True, help="Field of a post that is its record's key.")
@click.option("--name", help="Tells this import from others; a digest of the list of files otherwise.")
@click.option("--max-posts-per-second", type=click.FloatRange(0, min_open=True))
@click.option(
    "--malformed",
    type=click.Choice(["refuse", "send"]),
    default="refuse",
    show_default=True,
    help="A row that is not a post is named and left out, or sent as it is and dead-lettered by the worker.",
)
@click.option("--resume", is_flag=True, help="Go on with an import that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="The summary for a program to read.")
@settings_options("kafka", "stack", "log")
def import_(
    *,
    paths: tuple[str, ...],
    topic: str | None,
    key: str,
    name: str | None,
    max_posts_per_second: float | None,
    malformed: "Malformed",
    resume: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Feed an archive of posts into a topic, each exactly once, with its own timestamp.

    PATHS are files of JSON (a post a line, an array, or one post; .gz, .zst, .bz2 and .xz too), Parquet or CSV, folders
    (of JSON and Parquet), and globs. A post's created_at becomes its record's timestamp (without one: the current
    time); a line's bytes go as they are, with pictures that it names by {"path": "a.jpg"} put in. An import that was
    interrupted at any point goes on with --resume: its progress is the offset of the consumer group GROUP.import.NAME.
    """
    from mmorient import ArchiveUsageError, open_archive
    from worker.commands.startup import read_settings

    settings = read_settings(options)
    try:
        archive = open_archive(paths, columns=[key])
    except ArchiveUsageError as error:
        raise SettingsError(str(error)) from error
    if archive.standard_input:
        raise SettingsError("standard input cannot be read twice: an import needs files")
    for empty in archive.empty:
        click.echo(f"moderate: {empty}: is empty, passed over", err=True)
    # Of the paths alone, so that files which have grown are found to be an import that was begun with less of them.
    named = name is not None
    name = name or _short(archive.inputs.places)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise SettingsError(f"--name {name!r}: letters, digits, dots, underscores and hyphens")
    command = _Command(
        settings, archive, topic or settings.kafka.posts_topic, name, key, malformed, as_json, named=named
    )
    try:
        refused = asyncio.run(
            command.dry_run() if dry_run else command.run(resume=resume, max_posts_per_second=max_posts_per_second)
        )
    finally:
        command.refusals.close()
    if refused:
        raise FatalError(f"{refused} rows were refused")


@dataclass
class _Command:
    """One call of the command: what it says on the way and at the end."""

    settings: "Settings"
    archive: "Archive"
    topic: str
    name: str
    key: str
    malformed: "Malformed"
    as_json: bool
    named: bool = True
    warned: bool = False
    refusals: "Refusals" = field(
        default_factory=lambda: Refusals(lambda said: click.echo(f"moderate: {said}", err=True))
    )

    async def run(self, *, resume: bool, max_posts_per_second: float | None) -> int:
        """Import; return how many rows were refused."""
        from tqdm import tqdm

        from worker.broker.clients import KafkaLinks
        from worker.commands.import_archive.terms import terms_of

        kafka = self.settings.kafka
        links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
        async with links.connected_admin() as admin:
            terms = await terms_of(links, admin, self.topic)
            links = KafkaLinks(links.bootstrap_servers, kafka, max_batch_bytes=terms.max_bytes)
            one = await self._import(links, admin)
            # Before the producer's fence, which would end the import that it finds under way.
            found = await one.progress(admin)
            again = found is not None and found.finished and found.malformed == "refuse" and found.refused > 0
            if again and self.malformed == "send":
                one = one.of_refused()
                self.name = one.name
                found = await one.progress(admin)
            else:
                again = False
            one.check(found, resume=resume)
            if found is not None and found.finished:
                self._summary(found, one.group_id, complete_already=True)
                return 0
            maker = self._maker(terms, only_malformed=again)
            with tqdm(total=self.archive.bytes, unit="B", unit_scale=True, unit_divisor=1024, disable=None) as bar:

                def report(piece: "Sequence[Outcome]") -> None:
                    self._say(piece, terms)
                    bar.update(piece[-1].read_bytes - bar.n)

                progress = await one.run(
                    admin, maker, resume=resume, max_posts_per_second=max_posts_per_second, report=report
                )
        self._summary(progress, one.group_id, complete_already=False)
        return progress.refused

    async def dry_run(self) -> int:
        """Read everything, send nothing; return how many rows would be refused."""
        from mmorient import ArchiveError, Place
        from worker.broker.clients import KafkaLinks
        from worker.commands.import_archive.terms import terms_of

        kafka = self.settings.kafka
        links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
        async with links.connected_admin() as admin:
            terms = await terms_of(links, admin, self.topic)
        maker = self._maker(terms)
        sent, refused, size, without_key = 0, 0, 0, 0
        times: list[int] = []
        try:
            for outcome in maker.outcomes(Place(), 0):
                self._say([outcome], terms)
                if outcome.record is None:
                    refused += 1
                    continue
                sent += 1
                size += outcome.record.size
                without_key += outcome.record.key is None
                at = outcome.record.timestamp_ms
                times = [min([*times[:1], at]), max([*times[1:], at])]
        except ArchiveError as error:
            raise FatalError(str(error)) from error
        oldest, newest = (_time(at) for at in times) if times else (None, None)
        told = {"name": self.name, "topic": self.topic, "would_send": sent, "refused": refused, "bytes": size}
        told |= {"without_key": without_key, "oldest": oldest, "newest": newest}
        if self.as_json:
            click.echo(json.dumps(told))
        else:
            span = f", from {oldest} to {newest}" if times else ""
            click.echo(
                f"would send {sent} posts ({size / 1e6:.1f} MB{span}) into {self.topic}"
                f"{f', {without_key} of them without a key' if without_key else ''}; {refused} rows refused"
            )
        return refused

    async def _import(self, links: "KafkaLinks", admin: "AIOKafkaAdminClient") -> "Import":
        from worker.commands.import_archive.progress import Progress
        from worker.commands.import_archive.run import Import

        inputs = self.archive.inputs
        fresh = Progress(
            inputs=inputs.digest,
            contents=inputs.contents,
            sizes=inputs.said_sizes,
            key=self.key,
            malformed=self.malformed,
        )

        def difference(found: "Progress") -> str | None:
            return inputs.difference(found.inputs, found.contents, found.sizes)

        one = Import(links, self.topic, self.name, fresh, difference)
        earlier = replace(one, name=_short(inputs.digest))
        if not self.named and await earlier.written(admin) is not None:
            # Begun before names were made of paths alone.
            self.name = earlier.name
            return earlier
        return one

    def _maker(self, terms: "Terms", *, only_malformed: bool = False) -> "RecordMaker":
        from mmorient import PostReader
        from worker.commands.import_archive.records import RecordMaker

        kafka = self.settings.kafka
        reader = PostReader(kafka.text_format, kafka.post_fields)
        return RecordMaker(
            self.archive,
            terms,
            key=self.key,
            malformed=self.malformed,
            reader=reader,
            only_malformed=only_malformed,
        )

    def _say(self, piece: "Sequence[Outcome]", terms: "Terms") -> None:
        for outcome in piece:
            if outcome.refused is not None:
                self.refusals.add(outcome.name, outcome.refused)
            elif outcome.record is not None and not self.warned:
                self._warn(outcome, terms)

    def _warn(self, outcome: "Outcome", terms: "Terms") -> None:
        """Warn once of what a user may not expect."""
        if not terms.own_times:
            self.warned = True
            click.echo(
                f"moderate: warning: {self.topic} stamps records itself (message.timestamp.type is LogAppendTime): "
                "created_at is lost as the record's time",
                err=True,
            )
        elif outcome.old and outcome.record is not None and terms.retention_ms is not None:
            self.warned = True
            click.echo(
                f"moderate: warning: {outcome.name} is of {_time(outcome.record.timestamp_ms)}, and {self.topic} "
                f"keeps records for {terms.retention_ms / 86_400_000:g} days by their own times: it and others may go "
                "before they are read (retention.ms)",
                err=True,
            )

    def _summary(self, progress: "Progress", group_id: str, *, complete_already: bool) -> None:
        told: dict[str, object] = {"name": self.name, "topic": self.topic, "group_id": group_id}
        told |= {"sent": progress.sent, "refused": progress.refused, "complete_already": complete_already}
        if self.as_json:
            click.echo(json.dumps(told))
        elif complete_already:
            click.echo(
                f"import {self.name} into {self.topic} is complete: {progress.sent} posts sent, "
                f"{progress.refused} rows refused; another --name sends them again"
                f"{_HOW_TO_SEND * (progress.refused > 0 and progress.malformed == 'refuse')}"
            )
        else:
            click.echo(f"sent {progress.sent} posts into {self.topic} (import {self.name})")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_DIGEST_CHARS]


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
