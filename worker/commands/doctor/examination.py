"""Runs checks: each with a time limit, side by side where none needs the other, none over the whole's limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from worker.commands.doctor.findings import Finding, Outcome, failure, skipped
from worker.commands.terminal import harmless
from worker.errors import SettingsError

_Found = list[tuple[Finding, Outcome]]
_Look = Callable[[], Awaitable[Outcome | Sequence[Outcome]]]


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Args:
        name: `area.what`.
        look: says what it finds; what it raises is a failure.
        needs: checks without whose success nothing can be seen here.
        after: checks that come first, whatever they find.
        seconds: longest time that it may take.
        patience: what to do where it takes longer.
    """

    name: str
    look: _Look
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    seconds: float = 10.0
    patience: str = "try again with a longer --timeout; see what else this machine is busy with"


def without_settings(name: str) -> Check:
    """Return what stands for an area or a check where the settings cannot be used."""

    async def say() -> Outcome:
        return skipped("needs settings that can be used")

    return Check(name, say)


def chosen(checks: Sequence[Check], only: Collection[str]) -> list[Check]:
    """Return the checks of the given areas or names, and those that they need; all, if none is given.

    Raises:
        SettingsError: there is no such area or check.
    """
    if not only:
        return list(checks)
    by_name = {check.name: check for check in checks}
    areas = {name.partition(".")[0] for name in by_name}
    if unknown := sorted(set(only) - areas - by_name.keys()):
        known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in by_name))
        raise SettingsError(f"--only: no check {unknown[0]!r}; areas are {known}")
    wanted: set[str] = set()
    rest = [name for name in by_name if name in only or name.partition(".")[0] in only]
    while rest:
        name = rest.pop()
        if name not in wanted:
            wanted.add(name)
            rest += by_name[name].needs
    return [check for check in checks if check.name in wanted]


async def examine(
    checks: Sequence[Check], *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[Finding]:
    """Return what the checks find, in their order.

    Args:
        checks: what to look at; what one needs, or comes after, stands before it or is missing.
        seconds: longest time for all of it.
        clock: monotonic seconds.
    """
    deadline = clock() + seconds
    tasks: dict[str, asyncio.Task[_Found]] = {}
    for check in checks:
        needs = {name: tasks[name] for name in check.needs if name in tasks}
        after = [tasks[name] for name in check.after if name in tasks]
        tasks[check.name] = asyncio.create_task(_run(check, needs, after, lambda: deadline - clock()))
    return [finding for task in tasks.values() for finding, _ in await task]


async def _run(
    check: Check,
    needs: dict[str, "asyncio.Task[_Found]"],
    after: Sequence["asyncio.Task[_Found]"],
    left: Callable[[], float],
) -> _Found:
    for task in after:
        await task
    for name, task in needs.items():
        bad = [finding for finding, outcome in await task if not outcome.passes]
        if bad:
            # The cause is said once: a chain of skipped checks names its first link.
            cause = bad[0].says if bad[0].status == "skipped" and bad[0].says.startswith("needs ") else f"needs {name}"
            return [_found(check, skipped(cause))]
    limit = min(check.seconds, left())
    if limit <= 0:
        return [_found(check, skipped("no time was left"))]
    return [_found(check, outcome) for outcome in await _looked(check, limit)]


async def _looked(check: Check, limit: float) -> Sequence[Outcome]:
    async def look() -> Outcome | Sequence[Outcome]:
        return await check.look()

    task = asyncio.create_task(look())
    done, _ = await asyncio.wait({task}, timeout=limit)
    if not done:
        # Not waited for: a client may not let itself be stopped.
        task.cancel()
        return [failure(f"no answer within {limit:.0f} s", check.patience)]
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or error is not None:
        what = "cancelled" if error is None else f"{type(error).__name__}: {error}"
        return [failure(f"cannot be looked at: {what}", "see --log-level debug for what led to it")]
    found = task.result()
    return [found] if isinstance(found, Outcome) else found


def _found(check: Check, outcome: Outcome) -> tuple[Finding, Outcome]:
    remedy = outcome.remedy
    return Finding(check.name, outcome.status, harmless(outcome.says), remedy and harmless(remedy)), outcome
