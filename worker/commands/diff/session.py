"""A comparison, from its records to its report: once, or again and again as topics grow."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from worker.broker.ranges import OffsetRange
from worker.commands.diff.compare.comparing import compare
from worker.commands.diff.compare.deciding import decisions_of
from worker.commands.diff.compare.moved import most_moved
from worker.commands.diff.compare.notices import Seen, notices_of
from worker.commands.diff.compare.pairs import Joined, join
from worker.commands.diff.compare.report import Comparison, Decisions, FailOver, ModelShare, Moved, Posts, Report, Side
from worker.commands.diff.compare.report import Range as ReportedRange
from worker.commands.diff.compare.verdict import verdict
from worker.commands.diff.read.files import read_files, read_truth
from worker.commands.diff.read.lines import Intake, Tally
from worker.commands.diff.read.posts import (
    describe,
    posts_from_files,
    posts_from_topics,
    whole_from_files,
    whole_from_topics,
)
from worker.commands.diff.read.sources import Source
from worker.commands.diff.read.store import SIDES, SideName, Store
from worker.commands.diff.read.topics import TopicReader
from worker.commands.diff.request import Request
from worker.errors import FatalError

if TYPE_CHECKING:
    from mmorient import Moderator
    from worker.commands.diff.compare.explaining import Whole


class Session:
    """Reads both sides and says how they differ.

    Args:
        request: what the user asked for; the topics in it exist.
        folder: for the store's files; the caller removes it.
        reader: of topics; None if both sides are files.
    """

    def __init__(self, request: Request, folder: Path, reader: TopicReader | None) -> None:
        self._request = request
        self._store = Store(folder)
        self._intake = Intake(self._store)
        self._reader = reader
        self._tallies: dict[SideName, Tally] = {side: Tally() for side in SIDES}
        self._posts_tally = Tally()
        self._posts_read: dict[TopicPartition, OffsetRange] = {}
        self._posts_missing: list[str] = []
        self._models: tuple[Moderator | None, Moderator | None] | None = None
        self._begun = False

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    async def read(self) -> int:
        """Read what is new; return the number of records.

        Raises:
            FatalError: something cannot be read.
        """
        before = sum(tally.records for tally in self._tallies.values())
        sides: dict[SideName, Source] = {"left": self._request.left, "right": self._request.right}
        topics: dict[str, tuple[str, ...]] = {
            side: source.members for side, source in sides.items() if source.kind == "topic"
        }
        ranges = await self._reader.new_ranges(topics) if self._reader is not None else {}
        for side, source in sides.items():
            if self._reader is not None and source.kind == "topic":
                await self._reader.read(
                    ranges[side],
                    lambda records, side=side, source=source: self._intake.labels(  # type: ignore[misc]
                        side, records, self._tallies[side], checkpoint=source.checkpoint
                    ),
                    source.name,
                )
            elif not self._begun:
                for records in read_files(self._store, source.members):
                    self._intake.labels(side, records, self._tallies[side], checkpoint=source.checkpoint)
        if not self._begun:
            self._read_other_files()
        self._begun = True
        return sum(tally.records for tally in self._tallies.values()) - before

    async def report(self) -> Report:
        """Return what is found in all that was read.

        Raises:
            FatalError: something cannot be read, or does not hold labels.
        """
        joined = join(self._store)
        described = await self._describe(joined)
        found = compare(self._store, joined)
        tasks = {unit.task: found[unit.name] for unit in joined.units if unit.name in found and not unit.is_intensity}
        intensities = {unit.task: found[unit.name] for unit in joined.units if unit.name in found and unit.is_intensity}
        moved = most_moved(self._store, joined, self._request.moved, from_topics=self._posts_in_topics)
        left, right = (self._side(side, joined) for side in SIDES)
        seen = Seen(left, right, joined, described, self._posts_missing, self._posts_tally.unreadable)
        return Report(
            schema="diff/1",
            verdict=verdict(tasks),
            notices=notices_of(seen, tasks),
            left=left,
            right=right,
            joined_by="source" if joined.by_source else "post_id",
            posts=Posts(
                joined=joined.posts,
                left_only=joined.only["left"][0],
                right_only=joined.only["right"][0],
                left_only_first=joined.only["left"][1],
                right_only_first=joined.only["right"][1],
                described=described,
            ),
            tasks=tasks,
            intensities=intensities,
            moved=moved,
            decisions=self._decisions(),
            fail_over=_fail_over(self._request, tasks, intensities),
        )

    async def explained(self, report: Report) -> Report:
        """Return the report with explanations of the posts that moved most.

        Raises:
            FatalError: a model cannot be loaded.
        """
        wanted = report.moved[: self._request.explain]
        # This imports torch, so it is done only when reasons are wanted.
        from worker.commands.diff.compare.explaining import load_model, with_explanations

        if not wanted:
            return report
        wholes = await self._wholes(wanted)
        if self._models is None:
            folders = (self._request.left_model, self._request.right_model)
            models = {folder: None if folder is None else load_model(folder) for folder in set(folders)}
            self._models = (models[folders[0]], models[folders[1]])
        moved = with_explanations(wanted, wholes, self._models)
        said = list(report.notices)
        for name, model, side in zip(SIDES, self._models, (report.left, report.right), strict=True):
            checkpoints = {one.checkpoint for one in side.models} - {None}
            if model is not None and checkpoints and model.identity.checkpoint not in checkpoints:
                said.append(
                    f"--{name}-model is {model.identity.checkpoint[:19]}; no label on the {name} was made by it."
                )
        if missing := sum(one.explanations is None for one in moved):
            said.append(
                f"{missing} of {len(moved)} posts could not be explained: they are not among the posts that were read."
            )
        return report.model_copy(update={"moved": [*moved, *report.moved[len(moved) :]], "notices": said})

    def _read_other_files(self) -> None:
        if self._request.posts is not None:
            posts_from_files(self._intake, self._request.posts.members, self._posts_tally)
        if self._request.truth is not None:
            rows = [
                (number, post_id, task, label)
                for number, (post_id, known) in enumerate(read_truth(str(self._request.truth)))
                for task, label in known.items()
            ]
            self._intake.truth(rows)

    def _decisions(self) -> Decisions | None:
        left = self._request.policies
        if left is None:
            return None
        return decisions_of(self._store, left, self._request.right_policies or left, most=self._request.moved)

    @property
    def _posts_in_topics(self) -> bool:
        return self._request.posts is None and self._reader is not None

    async def _describe(self, joined: Joined) -> int | None:
        if self._posts_in_topics and not self._request.no_posts and joined.posts:
            assert self._reader is not None  # noqa: S101 - `_posts_in_topics` says so
            self._posts_missing = await posts_from_topics(
                self._store, self._reader, self._intake, self._posts_tally, self._posts_read
            )
        known = describe(self._store, from_topics=self._posts_in_topics)
        looked = not self._request.no_posts and (self._request.posts is not None or bool(self._posts_read))
        return known if looked else None

    def _side(self, side: SideName, joined: Joined) -> Side:
        source = self._request.left if side == "left" else self._request.right
        tally = self._tallies[side]
        ranges = {} if self._reader is None else self._reader.ranges(side)
        models = self._store.rows(
            f"SELECT model, checkpoint, graph_context, precision, count(*) AS labels FROM {side}_answer "
            "GROUP BY ALL ORDER BY labels DESC, checkpoint, precision, graph_context"
        )
        return Side(
            name=source.name,
            kind=source.kind,
            members=list(source.members),
            checkpoint=source.checkpoint,
            records=tally.records,
            labels=sum(labels for *_, labels in models),
            repeats=joined.repeats[side],
            unreadable=tally.unreadable,
            unreadable_first=tally.first,
            models=[
                ModelShare(name=name, checkpoint=checkpoint, graph_context=context, precision=precision, labels=labels)
                for name, checkpoint, context, precision, labels in models
            ],
            thresholds=_thresholds(self._store, side),
            ranges=[
                ReportedRange(
                    topic=place.topic, partition=place.partition, since=part.since, until=part.until, gone=part.gone
                )
                for place, part in sorted(ranges.items())
            ],
            tasks=joined.tasks[side],
        )

    async def _wholes(self, moved: Sequence[Moved]) -> dict[int, Whole]:
        if self._request.posts is not None:
            by_id = whole_from_files(self._request.posts.members, [one.post_id for one in moved])
            return {index: by_id[one.post_id] for index, one in enumerate(moved) if one.post_id in by_id}
        if self._reader is None:
            return {}
        places = {
            index: (one.source.topic, one.source.partition, one.source.offset)
            for index, one in enumerate(moved)
            if one.source is not None
        }
        found = await whole_from_topics(self._reader, list(places.values()))
        return {index: (found[place], None) for index, place in places.items() if place in found}


def _thresholds(store: Store, side: SideName) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for task, threshold in store.rows(
        f"SELECT DISTINCT task, threshold FROM {side}_answer ORDER BY task, threshold NULLS LAST"
    ):
        found.setdefault(task, []).append(threshold)
    return {task: values for task, values in found.items() if values != [None]}


def _fail_over(request: Request, tasks: dict[str, Comparison], intensities: dict[str, Comparison]) -> FailOver | None:
    if not request.limits:
        return None
    compared = tasks | {f"{task}.intensity": one for task, one in intensities.items()}
    limits = dict.fromkeys(tasks, request.limits[""]) if "" in request.limits else {}
    limits |= {task: limit for task, limit in request.limits.items() if task}
    return FailOver(
        limits=limits,
        exceeded={
            task: compared[task].share.value
            for task, limit in limits.items()
            # By the counts: a rounded share may exceed a limit that the true share meets.
            if task in compared and compared[task].flips > limit * compared[task].posts
        },
    )


def check_limits(report: Report) -> None:
    """Refuse to pass a limit on something that was not compared.

    Raises:
        FatalError: nothing was compared, or nothing of a task that has a limit.
    """
    if not report.tasks:
        counts = f"{report.left.labels} labels on the left, {report.right.labels} on the right"
        raise FatalError(f"nothing was compared: no post has labels of the same task on both sides ({counts})")
    compared = {*report.tasks, *(f"{task}.intensity" for task in report.intensities)}
    for task in report.fail_over.limits if report.fail_over else ():
        if task not in compared:
            raise FatalError(f"--fail-over {task}: no labels of {task} were compared")
