"""`surehook doctor`: says what is wrong, what it means, and where to change it."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surehook.shared.child_processes import stop_with_parent
from surehook.shared.errors import Misconfigured
from surehook.shared.exit_status import FAILED
from surehook.shared.plural import counted
from surehook.shared.settings import load_settings
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo, echo_json

if TYPE_CHECKING:
    from surehook.fusionauth.doctor.findings import Finding, Group
    from surehook.fusionauth.doctor.outage import Outage

COLOURS = {"loses events": "bold red", "blocks users": "bold magenta", "odd": "yellow", "ok": "green"}


@click.command()
@click.option("--url", help="The endpoint's address as FusionAuth reaches it, to check the proxies on the way.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(url: str | None, as_json: bool) -> None:
    """Check the store, the handlers, the endpoint and the queues. Changes nothing.

    Exit status 1 if something loses events or blocks FusionAuth's users.
    """
    from surehook.shared.log import set_up_logging

    stop_with_parent()
    set_up_logging("ERROR", None)
    groups: list[Group] = []
    outages: list[Outage] = []
    for group in _groups(url, outages):
        groups.append(group)
        if not as_json:
            _show(group)
    counts = Counter(finding.level.value for group in groups for finding in group.findings)
    if as_json:
        findings = [_facts(group.title, each) for group in groups for each in group.findings]
        echo_json({"findings": findings, "while_down": [asdict(outage) for outage in outages]})
    else:
        _show_outages(outages)
        echo(_summary(counts))
    if any(finding.level.is_serious for group in groups for finding in group.findings):
        sys.exit(FAILED)


def _groups(url: str | None, outages: "list[Outage]") -> "Iterator[Group]":
    from surehook.fusionauth.client import open_client
    from surehook.fusionauth.doctor.examination import Examination
    from surehook.fusionauth.doctor.findings import Group
    from surehook.fusionauth.doctor.settings import mistakes_in_settings

    try:
        settings = load_settings()
    except Misconfigured as exc:
        yield Group("Settings", tuple(mistakes_in_settings(exc)))
        return
    with ExitStack() as stack:
        has_access = settings.fusionauth_url is not None and settings.fusionauth_api_key is not None
        client = stack.enter_context(open_client(settings)) if has_access else None
        examination = Examination(settings, Path.cwd(), datetime.now(UTC), url, client)
        yield from examination.groups()
        outages += examination.outages()


def _facts(group: str, finding: "Finding") -> dict[str, str]:
    return {
        "group": group,
        "level": finding.level.value,
        "check": finding.check,
        "wrong": finding.wrong,
        "means": finding.means,
        "change": finding.change,
    }


def _show(group: "Group") -> None:
    if not sys.stdout.isatty():
        for finding in group.findings:
            words = (finding.level.value, group.title, finding.wrong, finding.means, finding.change)
            echo("\t".join(map(visible_line, words)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, title=group.title, title_justify="left")
    table.title_style = "bold"
    table.add_column(width=max(map(len, COLOURS)), no_wrap=True)
    table.add_column(overflow="fold")
    for finding in group.findings:
        table.add_row(Text(finding.level.value, COLOURS[finding.level.value]), Text.assemble(*_lines(finding)))
    Console(markup=False, emoji=False, highlight=False).print(table, "")


def _lines(finding: "Finding") -> Sequence[tuple[str, str]]:
    lines = [(visible_line(finding.wrong), "")]
    if finding.means:
        lines.append((f"\n{visible_line(finding.means)}", "dim"))
    if finding.change:
        lines.append((f"\nChange: {visible_line(finding.change)}", "cyan"))
    return lines


def _show_outages(outages: "Sequence[Outage]") -> None:
    if not outages:
        return
    several = len({outage.tenants for outage in outages}) > 1
    rows = [
        (
            outage.event_type,
            f"{outage.setting} ({', '.join(outage.tenants)})" if several else outage.setting,
            outage.users,
        )
        for outage in outages
    ]
    if not sys.stdout.isatty():
        for row in rows:
            echo("\t".join(("while down", *map(visible_line, row))))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("event", "setting", "users", box=None, pad_edge=False, header_style="dim", title_style="bold")
    table.title, table.title_justify = "What your users notice while this receiver is down", "left"
    for row, outage in zip(rows, outages, strict=True):
        style = "magenta" if outage.blocks else ""
        table.add_row(*(Text(visible_line(cell), style) for cell in row))
    Console(markup=False, emoji=False, highlight=False).print(table, "")


def _summary(counts: Counter[str]) -> str:
    words = (
        ("loses events", "lose events"),
        ("blocks users", "block users"),
        ("odd", "are odd"),
        ("ok", "are fine"),
    )
    one = {"odd": "is odd", "ok": "is fine"}
    return ", ".join(counted(counts[level], one.get(level, level), many) for level, many in words) + "."
