"""`make bench`: what can be measured in 25 minutes on two cores, then tables and plots from it.

Each bench is a process of its own and writes its JSON into `bench/results/`; one that fails leaves the others alone.
Precision needs labelled posts, which are not part of the project: `make bench DATA=folder` measures it too.
"""

import argparse
import os
import subprocess
import sys

from bench.figures import RESULTS

DATA = os.environ.get("DATA")
BENCHES: dict[str, tuple[str, ...]] = {
    "stream": ("bench.stream", "--posts", "640", "--repeat", "2"),
    "peers": ("bench.peers", "--turns", "2", "--seconds", "4", "--json", str(RESULTS / "peers.json")),
    "peers on the model": (
        *("bench.peers", "--loads", "cold", "cached", "--turns", "1", "--seconds", "4"),
        *("--json", str(RESULTS / "peers.json")),
    ),
    "brokers": ("bench.brokers", "--turns", "1", "--seconds", "6", "--json", str(RESULTS / "brokers.json")),
    "growth": (
        *("bench.growth", "--turns", "2", "--seconds", "2.5"),
        # Memory takes an hour by itself; what was measured of it stays.
        *("--parts", "points", "waits", "transactions", "model"),
        *("--json", str(RESULTS / "growth.json")),
    ),
    "capacity": ("bench.capacity", "--json", str(RESULTS / "capacity.json")),
    **(
        {"precision": ("bench.precision", DATA, "--posts", "2000", "--json", str(RESULTS / "precision.json"))}
        if DATA
        else {}
    ),
    "figures": ("bench.figures",),
}


def main() -> int:
    """Run them; return 1 where one failed."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    failed = []
    for name, (module, *arguments) in BENCHES.items():
        print(f"== {module} {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode:
            failed.append(name)
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
