"""Check every variant at every size and print what was found: `python -m tests.protocol`."""

import time

from tests.protocol import bytes_checks, journal_checks, queue_checks, variants, window_checks

_HEADER = "| variant | states | verdict | shortest | seconds |\n|---|---|---|---|---|"


def main() -> None:
    """Print a table of the variants, then the counterexamples."""
    traces: list[tuple[str, str, list[str]]] = []
    print(_HEADER)
    for check in (
        *variants.PROTOCOL,
        *variants.LARGE,
        *variants.BAD,
        *journal_checks.CHECKS,
        *journal_checks.LIMITS,
        *journal_checks.BAD,
        *queue_checks.CHECKS,
        *queue_checks.LARGE,
        *queue_checks.BAD,
        *bytes_checks.CHECKS,
        *bytes_checks.BAD,
        *window_checks.CHECKS,
        *window_checks.BAD,
    ):
        started = time.perf_counter()
        report = check.check()
        seconds = time.perf_counter() - started
        length = str(len(report.trace)) if report.trace else ""
        print(f"| {check.name} | {report.states:,} | {report.verdict} | {length} | {seconds:.1f} |", flush=True)
        if report.verdict != "holds":
            traces.append((check.name, report.verdict, check.steps(report)))
    for name, verdict, lines in traces:
        print(f"\n{name}: {verdict}")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
