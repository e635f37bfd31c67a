"""Which dead letters are meant, and which of them may be replayed."""

from collections.abc import Collection
from dataclasses import dataclass

from worker.commands.dead_letters.letters import Letter
from worker.commands.dead_letters.verdicts import Verdict

POISON = "poison"


@dataclass(frozen=True)
class Selection:
    """What a letter must be to be selected; empty means anything.

    Args:
        stages: one of these stages found the error.
        errors: one of these stands in the error's class or message, in any case of letters.
        communities: the post is of one of these.
        post_ids: it is one of these posts.
    """

    stages: Collection[str] = ()
    errors: Collection[str] = ()
    communities: Collection[str] = ()
    post_ids: Collection[str] = ()

    def matches(self, letter: Letter) -> bool:
        """Return whether a letter is selected."""
        reason = letter.reason
        if self.stages and (reason is None or reason.stage not in self.stages):
            return False
        if self.errors:
            said = f"{reason.exception_class_name}\n{reason.exception_message}".casefold() if reason else ""
            if not any(error.casefold() in said for error in self.errors):
                return False
        if self.communities and letter.community not in self.communities:
            return False
        return not self.post_ids or any(letter.is_of(post_id) for post_id in self.post_ids)


def verdict(letter: Letter, *, replayed: bool, posts_topic: str, max_attempts: int, poison: bool) -> Verdict:
    """Return what is to be done with a letter.

    Args:
        letter: a selected one.
        replayed: whether the ledger knows it.
        posts_topic: where replayed posts go.
        max_attempts: how often a post may be written again.
        poison: whether posts that killed workers are meant, too.
    """
    if (none := letter.left_out(posts_topic)) is not None:
        return none
    if replayed:
        return Verdict.ALREADY
    if letter.reason is not None and letter.reason.stage == POISON and not poison:
        return Verdict.IS_POISON
    if letter.attempts is None:
        return Verdict.UNREADABLE_ATTEMPTS
    return Verdict.REPLAY if letter.attempts < max_attempts else Verdict.TOO_MANY_ATTEMPTS
