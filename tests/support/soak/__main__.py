"""`python -m tests.support.soak` runs the soak: exit status 1 if anything was lost, 2 if the time was too short."""

import argparse
import secrets
import signal
import sys
from types import FrameType

from tests.support.soak.run import soak, soak_events

SECONDS = 600.0
SECONDS_FOR_EVENTS = 4 * 3600.0
SEED_FOR_EVENTS = 20261128
EVENTS_A_SECOND = 100.0
EVENTS_A_SECOND_FOR_EVENTS = 2_000.0
INTERRUPTED = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long, at most")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rate", type=float, help="events a second, at most")
    parser.add_argument(
        "--events", type=int, help="the number of events after which it ends; run it again to go on later"
    )
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _for_events(chosen) if chosen.events else _for_seconds(chosen)
    except KeyboardInterrupt:
        _print("interrupted")
        return INTERRUPTED


def _for_seconds(chosen: argparse.Namespace) -> int:
    seconds, rate = chosen.seconds or SECONDS, chosen.rate or EVENTS_A_SECOND
    seed = secrets.randbelow(10**6) if chosen.seed is None else chosen.seed
    _print(f"soak: {seconds:g} s, SEED={seed}, {rate:g} events/s")
    report = soak(seconds, seed, rate, _print)
    _print(f"\nsoak: {seconds:g} s, SEED={seed}\n\n{report.text()}")
    return 1 if report.findings.wrong else 0


def _for_events(chosen: argparse.Namespace) -> int:
    seconds, rate = chosen.seconds or SECONDS_FOR_EVENTS, chosen.rate or EVENTS_A_SECOND_FOR_EVENTS
    seed = SEED_FOR_EVENTS if chosen.seed is None else chosen.seed
    _print(f"soak: {chosen.events:,} events, {seconds:g} s at most, SEED={seed}, at most {rate:g} events/s")
    total = soak_events(chosen.events, seconds, seed, rate, _print)
    _print(f"\nsoak: {total.accepted:,} of {chosen.events:,} events, SEED={seed}\n\n{total.text()}")
    if total.wrong:
        return 1
    return 0 if total.accepted >= chosen.events else 2


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
