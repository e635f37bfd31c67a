"""`make fuzz`: how many inputs each target read, in how many seconds, and what crashed."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.running import input_of, run
from tests.fuzz.targets import TARGETS, prepare

# Of a million: in proportion to how fast a target reads, and to how much depends on it.
SHARES = {"records": 0.30, "pictures": 0.10, "entries": 0.45, "checkpoints": 0.02, "settings": 0.13}


def main() -> int:
    """Run the targets, print a table, and return 1 where something crashed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[], help="all where none is named")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all five targets together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all targets that are named")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--only", type=int, help="read this one input, in this process")
    parser.add_argument("--since", type=int, default=0, help="number of the first input of each target")
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    if given.only is not None:
        target = TARGETS[names[0]]
        value = input_of(target, given.seed, given.only)
        print(repr(value)[:4000])
        target.read(value)
        return 0
    prepare(names)
    total = sum(SHARES[name] for name in names)
    bad = False
    print(f"{'target':<12} {'inputs':>9} {'seconds':>8} {'a second':>9} {'crashes':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            result = run(
                TARGETS[name],
                seed=given.seed,
                inputs=round(given.inputs * SHARES[name]),
                seconds=given.seconds * SHARES[name] / total if len(names) > 1 else given.seconds,
                folder=Path(folder),
                since=given.since,
            )
            rate = result.inputs / max(result.seconds, 1e-9)
            print(f"{name:<12} {result.inputs:>9,} {result.seconds:>8.1f} {rate:>9,.0f} {len(result.crashes):>8}")
            for number, said in result.crashes.items():
                bad = True
                print(f"  python -m tests.fuzz {name} --seed {given.seed} --only {number}")
                print("    " + "\n    ".join(said.strip().splitlines()[-6:]))
            sys.stdout.flush()
    return int(bad)


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
