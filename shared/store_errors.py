"""The meaning of the store's errors: what happened, if waiting helps, and what an operator has to change.

An error reply begins with a code (`NOPERM`, `LOADING`). Some causes share the code `ERR` and differ in their text. The
text itself is never shown: it may quote arguments of the command.
"""

import re
from dataclasses import dataclass
from enum import Enum

from redis import exceptions as client

NO_REPLY = (OSError, client.ConnectionError, client.TimeoutError)  # redis-py's are no OSErrors
UNKNOWN = "ERR"


class Meaning(Enum):
    """The kinds of errors."""

    NO_REPLY = "the store does not answer"
    BUSY = "the store is busy, and answers later"
    NOT_PRIMARY = "the server is not the primary, or lacks replicas"
    FULL = "the store is out of memory or of disk"
    REFUSED = "the account lacks a right, or may not log in"
    UNSUITABLE = "the server lacks a command, or has not the database"
    REJECTED = "the store rejects a command as wrong: a fault of Surehook or of the data"


# A retry does not cure these: a person has to change something.
LASTING = {Meaning.REFUSED, Meaning.UNSUITABLE, Meaning.REJECTED}
_BY_CODE = {
    "LOADING": Meaning.BUSY,
    "BUSY": Meaning.BUSY,
    "UNKILLABLE": Meaning.BUSY,
    "TRYAGAIN": Meaning.BUSY,
    "READONLY": Meaning.NOT_PRIMARY,
    "MASTERDOWN": Meaning.NOT_PRIMARY,
    "NOREPLICAS": Meaning.NOT_PRIMARY,
    "UNBLOCKED": Meaning.NOT_PRIMARY,  # sent to a blocked client when its server becomes a replica
    "OOM": Meaning.FULL,
    "MISCONF": Meaning.FULL,  # it cannot write its files, and takes no writes until it can
    "NOAUTH": Meaning.REFUSED,
    "WRONGPASS": Meaning.REFUSED,
    "NOPERM": Meaning.REFUSED,
    "DENIED": Meaning.REFUSED,  # protected mode: from this machine only, or with a password
    "CLUSTERDOWN": Meaning.UNSUITABLE,
    "MOVED": Meaning.UNSUITABLE,
    "ASK": Meaning.UNSUITABLE,
    "CROSSSLOT": Meaning.UNSUITABLE,
    "NOPROTO": Meaning.UNSUITABLE,
    "WRONGTYPE": Meaning.REJECTED,
    "NOSCRIPT": Meaning.REJECTED,
    "EXECABORT": Meaning.REJECTED,
}
# Parts of the text of a reply whose code is ERR or missing. A script's own errors have that code, too.
_BY_TEXT = (
    ("max number of clients", Meaning.BUSY),
    ("ACL failure in script", Meaning.REFUSED),
    ("without any password configured", Meaning.REFUSED),
    ("no password is set", Meaning.REFUSED),
    ("unknown command", Meaning.UNSUITABLE),
    ("unknown subcommand", Meaning.UNSUITABLE),
    ("Unknown command called from script", Meaning.UNSUITABLE),
    ("DB index is out of range", Meaning.UNSUITABLE),
    ("SELECT is not allowed", Meaning.UNSUITABLE),
)
# After these another server, or another login, may serve. An account that lacks a right keeps its connection.
_END_CONNECTION = {"LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED", "NOAUTH", "WRONGPASS"}
_ADVICE = {
    Meaning.REFUSED: "the store refuses the login: check user and password in SUREHOOK_REDIS_URL",
    Meaning.UNSUITABLE: "this server cannot do {what}: Surehook needs Valkey, or Redis 7, that is not a cluster",
    Meaning.REJECTED: "the store rejects {what}: keys were changed by hand, or this is a fault of Surehook",
    Meaning.FULL: "the store is out of memory or cannot write its files: look at its log, and make room",
}
_CODE = re.compile(r"[A-Z]{2,20}(?= |$)")
_COMMAND = re.compile(r"to run the '([\w|.-]+)' command|[Uu]nknown (?:sub)?command ['`]([\w|.-]+)")
_KEY = re.compile(r"[Nn]o permissions to access (?:a|the '.*') key")


@dataclass(frozen=True, slots=True)
class StoreFault:
    """An error of the store, without data."""

    meaning: Meaning
    code: str
    """The reply's code. Without a reply: the error's type."""
    command: str = ""
    """The command that was refused, where the reply names it."""
    is_about_keys: bool = False
    """The account may use the command, but not on this key."""

    @property
    def is_lasting(self) -> bool:
        """True if a retry does not cure it."""
        return self.meaning in LASTING

    @property
    def ends_connection(self) -> bool:
        return self.code in _END_CONNECTION


def fault_of(exc: Exception) -> StoreFault:
    """Classifies an error of the client library."""
    text = str(exc)
    code = getattr(exc, "status_code", None) or _code_in(text)
    if isinstance(exc, client.AuthenticationError):
        return StoreFault(Meaning.REFUSED, code or UNKNOWN)
    if code is None and isinstance(exc, NO_REPLY):
        return StoreFault(Meaning.NO_REPLY, type(exc).__name__)
    return fault_of_reply(text, code)


def fault_of_reply(text: str, code: str | None = None) -> StoreFault:
    """Classifies an error reply; `text` begins with the code unless it is given."""
    code = code or _code_in(text) or UNKNOWN
    command = _COMMAND.search(text)
    return StoreFault(
        _BY_CODE.get(code) or _meaning_of_text(code, text),
        code,
        (command[1] or command[2]).upper().replace("|", " ") if command else "",
        _KEY.search(text) is not None,
    )


def advice(fault: StoreFault, command: str = "") -> str:
    """Returns one sentence for an operator: what is wrong and what to change."""
    what = command or fault.command or "a command"
    if fault.is_about_keys:
        return "the account in SUREHOOK_REDIS_URL may not use all keys: allow them (docs/operations.md, Accounts)"
    if fault.meaning is Meaning.REFUSED and fault.code in {"NOPERM", UNKNOWN}:
        return f"the account in SUREHOOK_REDIS_URL may not use {what}: allow it (docs/operations.md, Accounts)"
    return _ADVICE.get(fault.meaning, f"{fault.meaning.value} ({fault.code})").format(what=what)


def _meaning_of_text(code: str, text: str) -> Meaning:
    for part, meaning in _BY_TEXT:
        if part in text:
            return meaning
    return Meaning.REJECTED if code == UNKNOWN else Meaning.BUSY  # a proxy's own code, for one


def _code_in(text: str) -> str | None:
    found = _CODE.match(text)
    return found[0] if found else None
