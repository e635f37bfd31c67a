"""`make bench`: what can be measured in 25 minutes on two cores, then tables and plots from it.

Each bench is a process of its own and writes its JSON into `bench/results/`; one that fails leaves the others alone.
"""

import subprocess
import sys

from bench.figures import RESULTS

BENCHES: dict[str, tuple[str, ...]] = {
    "stream": ("bench.stream", "--posts", "640", "--repeat", "2"),
    "peers": ("bench.peers", "--turns", "2", "--seconds", "6", "--json", str(RESULTS / "peers.json")),
    "brokers": ("bench.brokers", "--turns", "2", "--seconds", "8", "--json", str(RESULTS / "brokers.json")),
    "figures": ("bench.figures",),
}


def main() -> int:
    """Run them; return 1 where one failed."""
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
