"""What a replay does with what was selected."""

from enum import Enum


class Verdict(Enum):
    """What a replay does with a selected letter, or with a post that was labelled without a picture."""

    REPLAY = "replayed"
    ALREADY = "already_replayed"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    UNREADABLE_ATTEMPTS = "unreadable_attempts"
    TOO_LARGE = "too_large"
    IS_POISON = "poison"
    OTHER_TOPIC = "other_topic"
    UNREADABLE = "unreadable"
    DELETION = "deletion"
    NO_RECORD = "no_record"
    GONE = "gone"
    OTHER_POST = "other_post"
