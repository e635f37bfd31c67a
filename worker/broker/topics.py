"""The topics: made where they are missing, refused where their partition counts do not match."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from worker.errors import FatalError, SettingsError
from worker.settings import KafkaSettings, Settings

# A dead letter is a post plus headers, so it must be allowed to be larger than the largest post.
_HEADER_ROOM_BYTES = 64 * 1024
_PARTITIONS = 6


_CREATE = "moderate topics create"
_NEAR = 0.75  # of two names of which one may be meant for the other


async def no_such_topic(admin: AIOKafkaAdminClient, topic: str, settings: KafkaSettings) -> FatalError:
    """Return what is said of a posts topic that is not there: the one that may be meant, and what makes it.

    Args:
        admin: client of the broker.
        topic: the missing one.
        settings: names of the topics.
    """
    near = get_close_matches(topic, await admin.list_topics(), 1, _NEAR)
    meant = f" (is {near[0]} meant?)" if near else ""
    chosen = "" if topic == settings.posts_topic else f" --kafka-posts-topic {topic}"
    return FatalError(f"topic {topic} does not exist{meant}: `{_CREATE}{chosen}` makes it")


def answer_topics(settings: KafkaSettings) -> list[str]:
    """Return the topics of what is said of labelled posts: labels, and decisions where they are on."""
    decisions = [] if settings.decisions_topic is None else [settings.decisions_topic]
    return [*dict.fromkeys(settings.routes.values()), *decisions]


def output_topics(settings: KafkaSettings) -> list[str]:
    """Return the topics that the worker writes to."""
    return [*answer_topics(settings), settings.dead_letter_topic]


def shadow_topics(settings: Settings) -> dict[str, str]:
    """Return where the labels of the shadow go, by the live topic; empty where there is no shadow.

    Raises:
        SettingsError: one of these topics is in use.
    """
    if settings.shadow.checkpoint is None:
        return {}
    kafka = settings.kafka
    shadows = {topic: topic + settings.shadow.suffix for topic in kafka.routes.values()}
    if taken := {kafka.posts_topic, *output_topics(kafka)} & set(shadows.values()):
        raise SettingsError(f"MODERATE_SHADOW__SUFFIX: {min(taken)} is in use already (got {settings.shadow.suffix!r})")
    return shadows


async def partition_counts(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[str, int]:
    """Return the partition count of each topic that exists."""
    described = await admin.describe_topics(topics)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


def check_counts(
    counts: Mapping[str, int], settings: KafkaSettings, *, growing: bool = False, beside: Sequence[str] = ()
) -> None:
    """Check that every topic is there and that a label can land in the partition number of its post.

    Args:
        counts: partitions by topic.
        settings: names of the topics.
        growing: let outputs have more partitions than posts: whoever adds some begins with them.
        beside: topics of labels besides those of the settings.

    Raises:
        FatalError: a topic is missing or has another number of partitions than the posts topic.
    """
    wanted = counts.get(settings.posts_topic, 0)
    for topic in (settings.posts_topic, *output_topics(settings), *beside):
        if topic not in counts:
            raise FatalError(f"topic {topic} does not exist: run `{_CREATE}`")
        if counts[topic] < wanted or (counts[topic] > wanted and not growing):
            raise FatalError(
                f"topic {topic} has {counts[topic]} partitions, {settings.posts_topic} has {wanted}: "
                "a label lands in the partition number of its post, so the counts must be equal"
            )


async def topic_configs(admin: AIOKafkaAdminClient, topic: str, names: Sequence[str]) -> dict[str, str]:
    """Return settings of a topic by name; what the broker does not say is left out."""
    try:
        responses = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict.fromkeys(names))]
        )
    except KafkaError:
        return {}
    return {
        name: value
        for response in responses
        for code, _, _, _, entries in response.resources
        for name, value, *_ in (entries if code == 0 else ())
        if name in names and value is not None
    }


async def max_message_bytes(admin: AIOKafkaAdminClient, topic: str) -> int | None:
    """Return the largest batch of records that a topic takes; None where the broker does not say."""
    said = await topic_configs(admin, topic, ["max.message.bytes"])
    return int(said["max.message.bytes"]) if said else None


async def create_topics(
    admin: AIOKafkaAdminClient,
    settings: KafkaSettings,
    *,
    partitions: int | None,
    replication_factor: int,
    beside: Sequence[str] = (),
    exactly: bool = False,
    or_more: bool = False,
) -> list[str]:
    """Create what is missing and return its names.

    Args:
        admin: client of the broker.
        settings: names of the topics.
        partitions: for the posts topic where it is missing; None for as many as the other topics have, or 6. The others
            follow the posts topic.
        replication_factor: of new topics.
        beside: topics to be made besides those of the settings.
        exactly: whether topics with another number of partitions than `partitions` are refused.
        or_more: with it, whether topics may have more.

    Raises:
        FatalError: an existing topic has another number of partitions than the posts topic, or than is asked for;
            nothing was made.
    """
    names = [settings.posts_topic, *output_topics(settings), *beside]
    counts = await partition_counts(admin, names)
    if exactly and partitions is not None:
        _refuse_others(counts, partitions, or_more=or_more)
    wanted = counts.get(settings.posts_topic, partitions or max(counts.values(), default=_PARTITIONS))
    check_counts({name: counts.get(name, wanted) for name in names}, settings, beside=beside)
    missing = [name for name in names if name not in counts]
    await _create(
        admin, [NewTopic(name, wanted, replication_factor, topic_configs=_configs(name, settings)) for name in missing]
    )
    return missing


async def create_control_topic(admin: AIOKafkaAdminClient, topic: str, *, replication_factor: int) -> list[str]:
    """Create a topic that holds the last value of each key, where it is missing; return what was made.

    Raises:
        FatalError: the broker refuses.
    """
    if await partition_counts(admin, [topic]):
        return []
    configs = {"cleanup.policy": "compact"}
    await _create(admin, [NewTopic(topic, 1, replication_factor, topic_configs=configs)])
    return [topic]


def _refuse_others(counts: Mapping[str, int], partitions: int, *, or_more: bool) -> None:
    for topic, count in counts.items():
        if count > partitions and not or_more:
            raise FatalError(
                f"topic {topic} has {count} partitions, not {partitions}: Kafka takes none away; add --at-least, leave "
                "--partitions out, or name other topics"
            )
        if count < partitions:
            raise FatalError(
                f"topic {topic} has {count} partitions, not {partitions}: to have more, run `kafka-topics.sh --alter "
                f"--topic {topic} --partitions {partitions}`, outputs before posts; else leave --partitions out"
            )


async def create_like(admin: AIOKafkaAdminClient, names: Collection[str], *, like: str) -> list[str]:
    """Create what is missing of `names`, with the partitions and replicas that `like` has; return what was made.

    Raises:
        FatalError: the broker refuses, there is no topic `like`, or one of `names` has fewer partitions.
    """
    # All there are: a broker may make the topics that it is asked about by name, with partitions as it likes.
    partitions = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
    if like not in partitions:
        raise FatalError(f"topic {like} does not exist: run `{_CREATE}`")
    wanted = len(partitions[like])
    for name in sorted(names & partitions.keys()):
        if len(partitions[name]) < wanted:
            raise FatalError(f"topic {name} has {len(partitions[name])} partitions, {like} has {wanted}")
    missing = sorted(set(names) - partitions.keys())
    replicas = len(partitions[like][0]["replicas"])
    await _create(admin, [NewTopic(name, wanted, replicas) for name in missing])
    return missing


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    response = await admin.create_topics(topics) if topics else None
    for topic, code, *message in response.topic_errors if response else ():
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise FatalError(f"topic {topic} could not be created: {message[0] if message else error.__name__}")


def _configs(name: str, settings: KafkaSettings) -> dict[str, str]:
    if name == settings.dead_letter_topic:
        return {"max.message.bytes": str(settings.max_request_bytes + _HEADER_ROOM_BYTES)}
    return {}


async def replication_factor(admin: AIOKafkaAdminClient, topic: str) -> int:
    """Return how many replicas an existing topic has."""
    described = await admin.describe_topics([topic])
    return min(len(partition["replicas"]) for entry in described for partition in entry["partitions"])
