"""`python -m bench [door|veto|workers]`: say what is measured on what, then measure."""

import argparse
import os
import sys
from contextlib import closing

import click

from bench import door, veto, workers
from bench.machine import facts
from tests.support.house import House

BENCHES = {"door": door.run, "veto": veto.run, "workers": workers.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare Surehook with a baseline.")
    parser.add_argument("bench", nargs="?", choices=BENCHES, help="only this one")
    chosen = parser.parse_args().bench
    click.echo(f"command: {os.path.relpath(sys.executable)} -m bench {chosen or ''}".rstrip())
    for number, name in enumerate([chosen] if chosen else BENCHES):
        with closing(House(workers.HANDLERS)) as house:
            if number == 0:
                click.echo("\n".join(facts(house)))
            BENCHES[name](house)


if __name__ == "__main__":
    main()
