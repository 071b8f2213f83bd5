"""`python -m tests.support.soak`: runs the soak, and exits with 1 if anything was lost."""

import argparse
import secrets
import sys

from tests.support.soak.run import soak

SECONDS = 600.0
EVENTS_A_SECOND = 100.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--rate", type=float, default=EVENTS_A_SECOND, help="events a second")
    chosen = parser.parse_args()
    _print(f"soak: {chosen.seconds:g} s, SEED={chosen.seed}, {chosen.rate:g} events/s")
    report = soak(chosen.seconds, chosen.seed, chosen.rate, _print)
    _print(f"\nsoak: {chosen.seconds:g} s, SEED={chosen.seed}\n\n{report.text()}")
    return 1 if report.findings.wrong else 0


def _print(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
