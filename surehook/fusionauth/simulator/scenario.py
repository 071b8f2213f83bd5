"""A scenario of the simulator: a TOML file that says what happens, step by step."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from surehook.fusionauth.simulator.http_client import Fault
from surehook.fusionauth.simulator.own_webhook import READ_TIMEOUT_MS
from surehook.fusionauth.simulator.quirks import NEWEST_VERSION, Quirks, Version
from surehook.fusionauth.transaction_setting import SETTINGS
from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES

MOST_USERS = 100_000  # in one import (FACTS §16)


def _require_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"there is no event type {name}")
    return name


def _require_setting(name: str) -> str:
    if name not in SETTINGS:
        raise ValueError(f"expected one of {', '.join(SETTINGS)}")
    return name


def _require_version(text: str) -> str:
    try:
        Version(text)
    except ValueError:
        raise ValueError(f"expected a version such as {NEWEST_VERSION}") from None
    return text


def _require_fault(name: str) -> str:
    if name.upper() not in Fault.__members__:
        raise ValueError(f"expected one of {', '.join(Fault.__members__).lower()}")
    return name


Share = Annotated[float, Field(ge=0, le=1)]
Transactions = dict[Annotated[str, AfterValidator(_require_type)], Annotated[str, AfterValidator(_require_setting)]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Oddities(_Part):
    """The shares of events that are sent in a form that FusionAuth's documentation does not show."""

    unknown_type: Share = 0
    missing_fields: Share = 0
    null_fields: Share = 0


class Step(_Part):
    """One step: first the changes that it names, then its events."""

    name: str = ""
    events: int = Field(0, ge=0)
    rate: float | None = Field(None, gt=0)
    faults: dict[Annotated[str, AfterValidator(_require_fault)], Share] = {}
    odd: Oddities = Oddities()
    import_users: int = Field(0, ge=0, le=MOST_USERS)
    transactions: Transactions = {}
    clock_hours: float | None = Field(None, ge=-8760, le=8760)
    log: bool | None = None
    restart: bool = False
    rotate_key: bool = False

    @model_validator(mode="after")
    def _require_whole(self) -> Self:
        if sum(self.faults.values()) > 1:
            raise ValueError("faults: the shares are more than 1 together")
        return self


class Scenario(_Part):
    """A whole scenario."""

    seed: int | None = None
    rate: float = Field(50.0, gt=0)
    version: Annotated[str, AfterValidator(_require_version)] = NEWEST_VERSION
    read_timeout: int = Field(READ_TIMEOUT_MS, ge=1, le=600_000)
    other_webhooks: tuple[str, ...] = ()
    quirks: Quirks = Quirks()
    transactions: Transactions = {}
    step: tuple[Step, ...] = Field(min_length=1)


def load_scenario(path: Path) -> Scenario:
    """
    Raises:
        Misconfigured: the file cannot be read, or is no scenario; it says where and why.
    """
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as exc:
        raise Misconfigured(f"--scenario {path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise Misconfigured(f"--scenario {path} is no TOML: {exc}") from exc
    except ValidationError as exc:
        raise Misconfigured("\n".join(f"--scenario {path}: {_sentence(error)}" for error in exc.errors())) from exc


def _sentence(error: object) -> str:
    assert isinstance(error, dict)  # noqa: S101 - pydantic's own
    place = ".".join(str(part + 1 if type(part) is int else part) for part in error["loc"] if part != "[key]")
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place} is no field of a scenario"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"
