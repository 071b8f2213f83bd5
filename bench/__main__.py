"""`python -m bench [PART…]`: describes the machine, measures, and writes bench/RESULTS.md."""

import argparse
import io
import re
import sys
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import click

from bench import (
    authentication,
    backlog,
    clients,
    endpoint,
    flood,
    index,
    limits,
    memory,
    order,
    pipeline,
    recovery,
    retention,
    spool,
    transactional,
    workers,
)
from bench.machine import facts
from harness.stack import Stack

PARTS = {
    "endpoint": endpoint.run,
    "clients": clients.run,
    "authentication": authentication.run,
    "flood": flood.run,
    "pipeline": pipeline.run,
    "transactional": transactional.run,
    "workers": workers.run,
    "order": order.run,
    "limits": limits.run,
    "memory": memory.run,
    "recovery": recovery.run,
    "retention": retention.run,
    "index": index.run,
    "spool": spool.run,
    "backlog": backlog.run,
}
RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = (
    "# Figures\n\nWritten by `make bench`, each with a description of its machine. "
    "Only the ratios are comparable between machines.\n"
)


class Tee(io.TextIOBase):
    """Writes to the screen and keeps a copy."""

    def __init__(self) -> None:
        self._screen = sys.stdout
        self.written = ""

    def write(self, text: str) -> int:
        self._screen.write(text)
        self._screen.flush()
        self.written += text
        return len(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare Surehook with a baseline.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    for name in parser.parse_args().parts or PARTS:
        tee = Tee()
        with redirect_stdout(tee), closing(Stack(workers.HANDLERS)) as stack:
            click.echo(f"command: make bench PART={name}")
            click.echo("\n".join([*facts(stack), ""]))
            PARTS[name](stack)
        keep(name, tee.written)
        click.echo("")


def keep(name: str, written: str) -> None:
    """Replaces the section of a part."""
    before = RESULTS.read_text("utf-8") if RESULTS.exists() else TITLE
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", before, re.MULTILINE | re.DOTALL))
    at = datetime.now(UTC).strftime("%Y-%m-%d")
    sections[name] = f"\n{at}\n\n```text\n{written.strip()}\n```\n\n"
    ordered = [part for part in PARTS if part in sections]
    text = TITLE + "\n" + "".join(f"## {part}\n{sections[part]}" for part in ordered)
    RESULTS.write_text(text.rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
