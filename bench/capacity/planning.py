"""How much of everything so many posts a second need, by the fitted model; and what of a small set-up is full first."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.capacity.fitting import Fitted, Mix
from bench.device_times import H200

TOPICS, COPIES = 5, 3
_CHARACTERS_A_TOKEN = 4.5
_PARTITIONS_A_BROKER = 4000
_BATCH = 256


@dataclass(frozen=True)
class Wishes:
    """What the reader has and wants.

    Args:
        target: share of anything that may be in use.
        broker_cores: of one broker.
        redis_gb: memory of one Redis.
        cache_hours: how long an embedding is kept.
        device_price, core_price, gb_price: of an hour; 0 where they are not known.
    """

    target: float = 0.7
    broker_cores: int = 8
    redis_gb: float = 64.0
    cache_hours: float = 1.0
    device_price: float = 0.0
    core_price: float = 0.0
    gb_price: float = 0.0


@dataclass(frozen=True)
class Measured:
    """Figures of growth that no term of the model has.

    Args:
        partition_rate: posts a second of one partition.
        copies_factor: processor time of three brokers with three copies over that of one.
        redis_bytes: of one embedding.
        text_us, token_us, picture_us, heads_us: of the shipped model on a processor core.
    """

    partition_rate: float
    copies_factor: float
    redis_bytes: float
    text_us: float
    token_us: float
    picture_us: float
    heads_us: float


@dataclass(frozen=True)
class Plan:
    """What a rate needs.

    Args:
        rate: posts a second.
        devices: of the speed in `bench/device_times.py`, which is arithmetic.
        model_cores: in their place: processor cores for the model, as measured.
        processes: workers; each takes about a core.
        partitions: of each topic.
        transactions: a second.
        brokers: with so many cores as the reader said.
        redis_gb: that embeddings take.
        redis_shards: so many of the reader's size.
        cost: an hour, by the reader's prices.
        full: what of a set-up with one of everything is full first, second, third, and how many times over.
    """

    rate: float
    devices: int
    model_cores: int
    processes: int
    partitions: int
    transactions: float
    brokers: int
    redis_gb: float
    redis_shards: int
    cost: float
    full: list[tuple[str, float]]

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def plan(rate: float, mix: Mix, model: Fitted, measured: Measured, wishes: Wishes) -> Plan:
    """Return what so many posts a second need.

    Args:
        rate: posts a second.
        mix: what they are like.
        model: fitted.
        measured: beside it.
        wishes: of the reader.
    """
    new = 1 - mix.reposts
    tokens = mix.characters / _CHARACTERS_A_TOKEN
    device = H200["call"] / _BATCH * 2 + H200["token"] * tokens * new + H200["picture"] * mix.pictures + H200["post"]
    model_us = (measured.text_us + measured.token_us * tokens) * new
    model_us += measured.picture_us * mix.pictures + measured.heads_us
    redis_gb = rate * (new + mix.pictures) * measured.redis_bytes * 3600 * wishes.cache_hours / 1e9
    broker_us = model.cost_us("broker_us", mix) * measured.copies_factor
    # Times that one of each would have to do its work.
    needs = {
        "a device": rate * device,
        "a process": rate / model.rate(mix),
        "a partition": rate / measured.partition_rate,
        "a broker": rate * broker_us / 1e6 / wishes.broker_cores,
        "Redis's processor": rate * model.cost_us("redis_us", mix) / 1e6,
        "Redis's memory": redis_gb / wishes.redis_gb,
    }
    enough = {name: math.ceil(need / wishes.target) for name, need in needs.items()}
    processes = max(1, enough["a process"])
    partitions = max(2 * processes, enough["a partition"])
    brokers = max(COPIES, enough["a broker"], math.ceil(partitions * TOPICS * COPIES / _PARTITIONS_A_BROKER))
    devices = max(1, enough["a device"])
    full = sorted(needs.items(), key=lambda one: -one[1])[:3]
    cores = processes + brokers * wishes.broker_cores
    cost = devices * wishes.device_price + cores * wishes.core_price + redis_gb * wishes.gb_price
    return Plan(
        rate=rate,
        devices=devices,
        model_cores=max(1, math.ceil(rate * model_us / 1e6 / wishes.target)),
        processes=processes,
        partitions=partitions,
        transactions=rate / mix.posts_a_transaction,
        brokers=brokers,
        redis_gb=redis_gb,
        redis_shards=max(1, enough["Redis's memory"], enough["Redis's processor"]),
        cost=cost,
        full=full,
    )


def measured_of(growth: Mapping[str, Any]) -> Measured:
    """Return what of the figures of growth stands beside the model.

    Raises:
        KeyError: a part was not measured.
        ValueError: no point has one partition alone.
    """
    single = [turn for point in growth["points"] if point.get("partitions") == 1 for turn in point.get("turns", ())]
    if not single:
        raise ValueError("no point with one partition")
    embeddings = sorted(
        turn["redis_bytes"] for point in growth["points"] for turn in point.get("turns", ()) if turn["redis_bytes"] > 0
    )
    by_brokers = {one["brokers"]: one["broker_us"] for one in growth["transactions"]}
    texts = growth["model"]["texts"]
    short, long = texts[0], texts[-1]
    token_us = (long["processor_us"] - short["processor_us"]) / (long["tokens"] - short["tokens"])
    shipped = min(growth["model"]["banks"], key=lambda one: abs(one["posts"] - 1534))
    return Measured(
        partition_rate=max(turn["posts_a_second"] for turn in single),
        copies_factor=by_brokers[3] / by_brokers[1],
        redis_bytes=embeddings[len(embeddings) // 2],
        text_us=max(0.0, short["processor_us"] - token_us * short["tokens"]),
        token_us=token_us,
        picture_us=growth["model"]["picture_us"],
        heads_us=shipped["processor_us"],
    )
