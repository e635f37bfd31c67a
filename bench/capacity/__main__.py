"""What so many posts a second need: `python -m bench.capacity --json bench/results/capacity.json`.

A model is fitted to the figures of `python -m bench.growth` and checked on those points of it that it was not fitted
on. Prices are the reader's: without them the cost of an hour is so many devices d, cores c and gigabytes g. Devices
are those of `bench/device_times.py`, whose times are arithmetic and were not measured.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.capacity.fitting import Mix, fit, misses
from bench.capacity.planning import Wishes, measured_of, plan
from bench.capacity.showing import show

_GROWTH = Path(__file__).parent.parent / "results" / "growth.json"
RATES = (1_000.0, 100_000.0, 1_000_000.0)


def model_of(growth: Mapping[str, Any], mix: Mix | None, wishes: Wishes, rates: tuple[float, ...]) -> dict[str, Any]:
    """Return the model, its errors and its plans as JSON has them.

    Args:
        growth: the figures.
        mix: of the posts; None for 100 characters, a tenth with a picture, three tenths seen before.
        wishes: of the reader.
        rates: posts a second.
    """
    fitted = fit(growth)
    measured = measured_of(growth)
    together = [
        turn["posts_a_transaction"]
        for point in growth["points"]
        if point["partitions"] == 16 and point["workers"] == 1
        for turn in point.get("turns", ())
    ]
    mix = mix or Mix(100, 0.1, 0.3, statistics.median(together))
    return {
        "date": growth["date"],
        "machine": growth["machine"],
        "weights": {figure: dict(weights) for figure, weights in fitted.weights.items()},
        "busy": fitted.busy,
        "beside": fitted.beside,
        "measured": asdict(measured),
        "misses": [asdict(one) | {"error": one.error} for one in misses(growth, fitted)],
        "mix": asdict(mix),
        "wishes": asdict(wishes),
        "plans": [plan(rate, mix, fitted, measured, wishes).to_data() for rate in rates],
    }


def main() -> None:
    """Fit, check, plan, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--growth", type=Path, default=_GROWTH)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, help="posts a second")
    parser.add_argument("--characters", type=float, default=100, help="of the mean text")
    parser.add_argument("--pictures", type=float, default=0.1, help="share of posts with a new picture")
    parser.add_argument("--reposts", type=float, default=0.3, help="share of posts whose text was seen before")
    parser.add_argument("--posts-a-transaction", type=float, help="as measured where it is not given")
    wishes = Wishes()
    for name, value in asdict(wishes).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--json", type=Path, help="write it here too")
    args = parser.parse_args()
    growth = json.loads(args.growth.read_text(encoding="utf-8"))
    own = Wishes(**{name: getattr(args, name) for name in asdict(wishes)})
    data = model_of(growth, None, own, tuple(args.rates))
    together = args.posts_a_transaction or data["mix"]["posts_a_transaction"]
    mix = Mix(args.characters, args.pictures, args.reposts, together)
    data = model_of(growth, mix, own, tuple(args.rates))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(show(data))


if __name__ == "__main__":
    main()
