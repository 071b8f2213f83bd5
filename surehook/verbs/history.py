"""Prints the history of an event: the runs of its handlers and the actions of operators."""

from collections.abc import Sequence
from typing import Any

from surehook.admin.actions import Action
from surehook.shared.visible import visible_line
from surehook.verbs.output import echo, echo_traceback


def echo_history(attempts: Sequence[dict[str, Any]], actions: Sequence[Action]) -> None:
    """Prints attempts and actions in the order of their times, each attempt with its traceback if it has one."""
    lines = [(attempt["at"], _attempt(attempt), attempt.get("traceback", "")) for attempt in attempts]
    lines += [(_at(action), _action(action), "") for action in actions]
    for _, line, traceback in sorted(lines, key=lambda line: line[0]):
        echo(visible_line(line.rstrip()))
        echo_traceback(traceback)


def action_facts(action: Action) -> dict[str, Any]:
    return {
        "at": _at(action),
        "action": action.action,
        "handler": action.handler,
        "who": action.who,
        "reason": action.reason,
    }


def _at(action: Action) -> str:
    return action.at.isoformat(timespec="milliseconds")


def _attempt(attempt: dict[str, Any]) -> str:
    return (
        f"  {attempt['at']}  {attempt['handler']}  attempt {attempt['number']}  {attempt['outcome']}  "
        f"{attempt['elapsed_ms']} ms  {attempt['error']}"
    )


def _action(action: Action) -> str:
    by = f" by {action.who}" if action.who else ""
    return "  ".join(filter(None, ("", _at(action), action.handler, f"{action.action}{by}", action.reason)))
