"""Read-only views of JSON that has no model."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Key = TypeVar("Key")
Value = TypeVar("Value")

_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Fields(Mapping[str, Any]):
    """A JSON object whose fields read as attributes: `user.firstName` as `user.first_name`, a missing one as None.

    Also a read-only mapping under FusionAuth's own names: `user["firstName"]`. A key that is an id is found by its text
    in any spelling, and by its UUID.
    """

    __slots__ = ("_fields",)
    _fields: Mapping[str, Any]

    def __init__(self, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_fields", MappingProxyType(dict(fields)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        fields = self._fields
        return frozen(fields[name] if name in fields else fields.get(camel(name)))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"events are immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"events are immutable: {name} cannot be deleted")

    def __getitem__(self, name: str | UUID) -> Any:
        try:
            return frozen(self._fields[name])  # type: ignore[index] # a UUID is never there as itself
        except KeyError:
            wanted = id_of(name)
            same = () if wanted is None else (each for each in self._fields if id_of(each) == wanted)
            for key in same:
                return frozen(self._fields[key])
            raise

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(frozenset(self._fields))

    def __reduce__(self) -> tuple[Any, ...]:
        return Fields, (dict(self._fields),)

    def __dir__(self) -> list[str]:
        return [snake(name) for name in self._fields]

    def __repr__(self) -> str:
        # Values are personal data, and a repr ends up in tracebacks.
        return f"{type(self).__name__}({', '.join(self._fields)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _fields, serialization=core_schema.plain_serializer_function_ser_schema(thawed)
        )


class FrozenDict(dict[Key, Value]):
    """An immutable mapping. Its repr has only the keys."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("events are immutable")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self))})"


def id_of(key: object) -> UUID | None:
    """The UUID that a key is or spells; None if it does neither."""
    if isinstance(key, UUID):
        return key
    try:
        return UUID(key) if isinstance(key, str) else None
    except ValueError:
        return None


def frozen(value: Any) -> Any:
    """Returns the same JSON, read-only."""
    if isinstance(value, dict):
        return Fields(value)
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def thawed(value: Any) -> Any:
    """Returns the plain JSON."""
    if isinstance(value, Fields):
        return dict(value._fields)  # its content is still plain JSON
    return [thawed(item) for item in value] if isinstance(value, tuple) else value


def camel(name: str) -> str:
    """Turns a snake_case name into FusionAuth's camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake(name: str) -> str:
    """Turns FusionAuth's camelCase into snake_case."""
    return _CAMEL_HUMP.sub(lambda hump: "_" + hump[1].lower(), name)


def _fields(value: Any) -> Fields:
    if isinstance(value, Fields):
        return value
    if isinstance(value, dict):
        return Fields(value)
    raise ValueError("not a JSON object")
