"""What the user asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.broker.ranges import Bound
from worker.commands.diff.read.sources import Source
from worker.errors import SettingsError
from worker.policies.policies import Policies


@dataclass(frozen=True)
class Request:
    """A comparison to make.

    Args:
        left, right: the sides.
        start, end: of the ranges of topics.
        partitions: to read of topics; None for all.
        posts: files of posts; None: from their topic.
        no_posts: whether posts are not read.
        truth: a file of known answers.
        moved: how many of the posts that moved most to list.
        explain: how many of them to explain.
        left_model, right_model: folders of the checkpoints that explain.
        limits: by task, or "" for all others: the largest share of flips that is allowed.
        policies: which make labels into decisions; None for no decisions.
        right_policies: those of the right, if they are not the same.
    """

    left: Source
    right: Source
    start: Bound
    end: Bound
    partitions: frozenset[int] | None = None
    posts: Source | None = None
    no_posts: bool = False
    truth: Path | None = None
    moved: int = 20
    explain: int = 0
    left_model: Path | None = None
    right_model: Path | None = None
    limits: Mapping[str, float] | None = None
    policies: Policies | None = None
    right_policies: Policies | None = None

    @property
    def reads_topics(self) -> bool:
        """Whether a broker is needed."""
        return "topic" in {self.left.kind, self.right.kind}

    def check(self) -> None:
        """Refuse what cannot work, before anything is read.

        Raises:
            SettingsError: two options exclude each other, or a file is missing.
        """
        if self.left.members == self.right.members == ("-",):
            raise SettingsError("standard input can be one side only")
        if self.right_policies is not None and self.policies is None:
            raise SettingsError("--right-policies needs --policies, which holds the policies of the left")
        if self.explain and self.left_model is None and self.right_model is None:
            raise SettingsError("--explain needs --left-model, --right-model or both")
        if self.explain and self.no_posts:
            raise SettingsError("--explain needs the posts, so it cannot go with --no-posts")
        if self.explain and not self.reads_topics and self.posts is None:
            raise SettingsError("--explain needs the posts: name their file with --posts")
        if self.posts is not None and self.posts.kind == "topic":
            raise SettingsError(f"--posts: no such file: {self.posts.name}")
        for folder in (self.left_model, self.right_model):
            if folder is not None and not (folder / "config.json").is_file():
                raise SettingsError(f"no checkpoint in {folder} (its config.json is missing)")
        if self.truth is not None and not self.truth.is_file():
            raise SettingsError(f"--truth: no such file: {self.truth}")


def parse_limits(texts: tuple[str, ...]) -> dict[str, float]:
    """Read `0.02` and `sarcasm=0.05`.

    Raises:
        SettingsError: a text is not a share.
    """
    limits: dict[str, float] = {}
    for text in texts:
        task, _, share = text.rpartition("=")
        if task in limits:
            raise SettingsError(f"--fail-over {text!r}: {task or 'all tasks'} has two limits: which is meant?")
        try:
            limits[task] = float(share)
        except ValueError as error:
            raise SettingsError(f"--fail-over {text!r} is not a share such as 0.02 or sarcasm=0.02") from error
        if not 0 <= limits[task] <= 1:
            raise SettingsError(f"--fail-over {text!r}: a share is between 0 and 1")
    return limits
