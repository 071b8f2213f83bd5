"""Fingerprints of the users' source files: a failure that was last seen before one changed may be mended."""

import inspect
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any

LENGTH = 12


def source_fingerprint(function: Callable[..., Any]) -> str:
    """The fingerprint of the file in which a function is defined; "" if it cannot be read.

    It is taken when the function is registered: a later change of the file does not change the code that runs.
    """
    while isinstance(function, partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None) or getattr(type(function).__call__, "__code__", None)
    try:
        source = Path(code.co_filename).read_bytes() if code else b""
    except (OSError, ValueError):
        return ""
    return sha1(source, usedforsecurity=False).hexdigest()[:LENGTH] if source else ""
