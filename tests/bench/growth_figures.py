"""Figures of growth as the bench writes them, of a made-up machine whose costs are known."""

from dataclasses import asdict
from typing import Any

from bench.growth.points import POINTS, Point

BASE, TEXT, PICTURE, NEW, TRANSACTION = 200.0, 20.0, 900.0, 80.0, 1000.0
BUSY = 0.7


def turn(point: Point, *, off: float = 1.0) -> dict[str, float]:
    """Return what the made-up machine gives at a point, `off` times what its rule says."""
    characters, new = 5.0 * point.kind.words, 1 - point.kind.reposts
    together = 20.0 + 400 / point.partitions
    pictures = point.kind.pictures * new
    cost = BASE + TEXT * characters / 100 + PICTURE * pictures + NEW * new + TRANSACTION / together
    return {
        "posts_a_second": BUSY * 1e6 / cost / off,
        "processor_us": cost * off,
        "broker_us": 100 + 10 * characters / 100 + (500 + 300 * (1 - (1 - pictures) ** together)) / together,
        "redis_us": 5 + 30 * new,
        "posts_a_transaction": together,
        "characters": characters,
        "pictures": pictures,
        "reposts": point.kind.reposts,
        "redis_bytes": 1800.0,
        "memory_mb": 900.0,
    }


def growth(*, held_out_off: float = 1.0) -> dict[str, Any]:
    """Return all parts; the points that are held out cost `held_out_off` times what the rule says."""
    points = [
        asdict(point)
        | {
            "start_seconds": 9.0,
            "turns": [turn(point, off=held_out_off if point.axis == "mixed" else 1.0)] * 2,
        }
        for point in POINTS
        if point.at != 8
    ]
    failed = [asdict(point) | {"error": "no worker"} for point in POINTS if point.at == 8]
    return {
        "machine": "2 cores",
        "date": "2026-11-30",
        "turns": 2,
        "points": [*points, *failed],
        "waits": [
            {"partitions": 16, "start_seconds": 8.0, "join_seconds": 1.5, "leave_seconds": 0.25},
            {"partitions": 64, "start_seconds": 9.0, "join_seconds": 2.5, "leave_seconds": 0.75},
        ],
        "transactions": [
            {"brokers": 1, "producers": 8, "transactions_a_second": 800.0, "broker_us": 900.0},
            {"brokers": 3, "producers": 8, "transactions_a_second": 300.0, "broker_us": 2700.0},
        ],
        "model": {
            "texts": [
                {"words": 5, "tokens": 16.0, "processor_us": 6000.0},
                {"words": 200, "tokens": 256.0, "processor_us": 78000.0},
            ],
            "picture_us": 25000.0,
            "banks": [{"posts": 1024, "processor_us": 100.0}, {"posts": 4096, "processor_us": 140.0}],
        },
        "memory": {
            "minutes": 3.0,
            "rate": 60.0,
            "written": 10_800,
            "labelled": 10_800,
            "samples": [[number / 20, 900.0 if number > 20 else 800.0] for number in range(60)],
        },
    }
