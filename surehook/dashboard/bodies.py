"""An event's body as a page shows it: indented, with secrets masked."""

import json
import re
from typing import Any

MASK = "•••"
LONGEST_SHOWN = 256 * 1024
CANNOT_BE_READ = "(This body cannot be laid out: `surehook events show --body` prints it as it came.)"
# FusionAuth's fields that open something: a password, a session, a reset. Their ids and instants do not.
SECRET_NAME = re.compile(
    r"(password|passcode|secret|salt|token|authorization|cookie|private_?key|api_?key|recoverycodes?)s?$"
    r"|^(code|key|verification_?id|change_?password_?id|verification_?code|one_?time_?code)$",
    re.IGNORECASE,
)
SEVERAL = re.compile(r"(tokens|secrets|passwords|recoverycodes)$", re.IGNORECASE)
JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")


def shown_body(body: bytes) -> str:
    """The text of a decrypted body."""
    try:
        text = json.dumps(_masked(json.loads(body), "", is_secret=False), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return CANNOT_BE_READ
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}\n(the rest is left out: `surehook events show --body` prints all)"


def _masked(value: Any, name: str, *, is_secret: bool) -> Any:
    is_secret = is_secret or bool(SEVERAL.search(name))
    if isinstance(value, dict):
        return {key: _masked(each, key, is_secret=is_secret) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name, is_secret=is_secret) for each in value]
    if isinstance(value, str):
        return MASK if is_secret or SECRET_NAME.search(name) else JWT.sub(MASK, value)
    return value
