"""What a policy would decide over a file of labels: counted by decision and by rule, nothing is sent anywhere."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from worker.commands.terminal import harmless
from worker.errors import FatalError
from worker.policies.policies import CHANGES, Outcome, Policies
from worker.policies.published_labels import PublishedAnswer, answers_of, community_of
from worker.policies.reading import read_policies

_NAMED = 5


@dataclass
class _Post:
    """The labels of one post, from however many lines.

    Args:
        id: of the post.
        community: as a line said it.
        answers: by task; of two for a task the later one.
    """

    id: str
    community: str | None = None
    answers: dict[str, PublishedAnswer] = field(default_factory=dict)


def check_policies(folder: Path, labels: Path | None, posts: Path | None, *, as_json: bool) -> bool:
    """Print what the policy of a folder decides; return whether every line was understood.

    Args:
        folder: of the rules.
        labels: a file of JSON lines, `-` for standard input; None says of the policy itself alone.
        posts: a file of posts, for their communities.
        as_json: print for a program.

    Raises:
        SettingsError: the policy is wrong.
        FatalError: a file cannot be read.
    """
    policies = read_policies(folder)
    found, odd = _read(() if labels is None else _lines(labels))
    if posts is not None:
        _add_communities(found, _lines(posts))
    outcomes = {key: policies.decide(post.community, post.answers) for key, post in found.items()}
    if as_json:
        for key, outcome in outcomes.items():
            if outcome.decisions or outcome.shadows:
                click.echo(json.dumps({"id": found[key].id} | _fields(outcome)))
        click.echo(json.dumps(_counts(policies, outcomes.values())))
    else:
        _print(policies, list(outcomes.values()), whether_labels=labels is not None)
    if odd:
        more = "" if len(odd) <= _NAMED else f" and {len(odd) - _NAMED} more"
        said = "1 line was no label" if len(odd) == 1 else f"{len(odd)} lines were no labels"
        click.echo(f"moderate: {said}: {', '.join(map(str, odd[:_NAMED]))}{more}", err=True)
    return not odd


def _lines(file: Path) -> Iterator[str]:
    try:
        with click.open_file(str(file), encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise FatalError(f"{harmless(str(file))}: {error.strerror}") from error


def _read(lines: Iterable[str]) -> tuple[dict[object, _Post], list[int]]:
    """Return posts by what tells them apart, and the numbers of lines that are no labels."""
    found: dict[object, _Post] = {}
    odd: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _object(line)
        name = None if record is None else record.get("post_id", record.get("id"))
        if record is None or name is None:
            odd.append(number)
            continue
        source = record.get("source")
        key = json.dumps(source, sort_keys=True) if isinstance(source, dict) else ("", str(name))
        answers = answers_of(record)
        # A post whose media could none of them be used has a line without labels.
        if not answers and record.get("labels") != {}:
            odd.append(number)
            continue
        post = found.setdefault(key, _Post(str(name)))
        post.answers |= answers
        post.community = community_of(record) or post.community
    return found, odd


def _add_communities(found: Mapping[object, _Post], lines: Iterable[str]) -> None:
    known: dict[str, str] = {}
    for line in lines:
        if (record := _object(line)) is not None and (community := community_of(record)) is not None:
            known[str(record.get("id"))] = community
    for post in found.values():
        if post.community is None:
            post.community = known.get(post.id)


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _fields(outcome: Outcome) -> dict[str, object]:
    return {
        "decisions": [one.fields() for one in outcome.decisions],
        "shadows": [{"rule": one.rule.name, "change": one.change} for one in outcome.shadows],
    }


def _counts(policies: Policies, outcomes: Iterable[Outcome]) -> dict[str, object]:
    decisions: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    shadows = {rule.name: dict.fromkeys(CHANGES, 0) for rule in policies.rules if rule.shadow}
    posts = decided = 0
    for outcome in outcomes:
        posts += 1
        decided += bool(outcome.decisions)
        decisions.update({one.rule.decision for one in outcome.decisions})
        rules.update(one.rule.name for one in outcome.decisions)
        for one in outcome.shadows:
            shadows[one.rule.name][one.change] += 1
    return {
        "version": policies.version,
        "posts": posts,
        "decided": decided,
        "decisions": dict(sorted(decisions.items())),
        "rules": {rule.name: rules[rule.name] for rule in policies.rules if not rule.shadow},
        "shadows": shadows,
    }


def _print(policies: Policies, outcomes: list[Outcome], *, whether_labels: bool) -> None:
    shadows = sum(rule.shadow for rule in policies.rules)
    click.echo(f"version  {policies.version}")
    click.echo(f"rules    {len(policies.rules)}, shadow: {shadows}")
    if not whether_labels:
        return
    counts: dict[str, Any] = _counts(policies, outcomes)
    click.echo(f"posts    {counts['posts']:,}, with a decision: {counts['decided']:,}")
    width = max([len(name) for part in ("decisions", "rules", "shadows") for name in counts[part]], default=0)
    for title, part in (("decision", counts["decisions"]), ("rule in force", counts["rules"])):
        if part:
            click.echo(f"\n{title:<{width + 2}}  posts")
            for name, number in part.items():
                click.echo(f"  {harmless(name):<{width}}  {number:>5,}")
    if counts["shadows"]:
        click.echo(f"\n{'shadow rule':<{width + 2}}  " + "  ".join(f"{change:>7}" for change in CHANGES))
        for name, changes in counts["shadows"].items():
            click.echo(f"  {name:<{width}}  " + "  ".join(f"{changes[change]:>7,}" for change in CHANGES))
