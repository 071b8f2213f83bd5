"""Where each setting comes from: what an operator asks when a value is not the one that was meant."""

import os
from collections.abc import Mapping

from dotenv import dotenv_values

from shared.settings import PREFIX, SECRETS, Settings


def origins(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For each field of Settings `environment`, `.env`, `default`, or the secret's file, in the order they are read."""
    env_file = str(Settings.model_config["env_file"])
    written = {name.upper() for name, value in dotenv_values(env_file).items() if value}
    given = {name.upper() for name, value in environ.items() if value}
    found = {}
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        file = environ.get(f"{name}_FILE") if field.upper() in SECRETS else None
        found[field] = file or _origin(name, given, written)
    return found


def _origin(name: str, given: set[str], written: set[str]) -> str:
    if name in given:
        return "environment"
    return ".env" if name in written else "default"
