"""The accounts of the store as docs/operations.md has them."""

import re

import redis

from harness.stack import ROOT


def create_account(store: redis.Redis, name: str, password: str, *changes: str) -> None:
    """Creates an account of the docs, with changes to its rules."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    rules = dict(re.findall(r"^ACL SETUSER (surehook-\w+) (on .*)$", page, re.MULTILINE))[name]
    words = [f">{password}" if word == ">PASSWORD" else word for word in rules.split()]
    store.execute_command("ACL", "SETUSER", name, "reset", *words, *changes)  # type: ignore[no-untyped-call] # redis-py's
