"""A read-only map with ids as keys, which answers to an id's text as well as to its UUID."""

from types import GenericAlias
from typing import Any, TypeVar, get_args, overload
from uuid import UUID

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from surehook.shared.models.fields import FrozenDict, id_of

Value = TypeVar("Value")
Other = TypeVar("Other")


class IdMap(FrozenDict[UUID, Value]):
    """Iterates over UUIDs. `roles["cc05…"]`, `roles.get(UUID("cc05…"))` and `"cc05…" in roles` find the same entry."""

    def __getitem__(self, key: UUID | str) -> Value:
        found = id_of(key)
        if found is None:
            raise KeyError(key)
        return super().__getitem__(found)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(id_of(key))

    @overload
    def get(self, key: UUID | str, default: None = None, /) -> Value | None: ...
    @overload
    def get(self, key: UUID | str, default: Value, /) -> Value: ...
    @overload
    def get(self, key: UUID | str, default: Other, /) -> Value | Other: ...
    def get(self, key: UUID | str, default: Any = None, /) -> Any:
        return super().get(id_of(key), default)  # type: ignore[arg-type] # None is no key

    def __reduce__(self) -> tuple[Any, ...]:
        return IdMap, (dict(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (value,) = get_args(source)
        return core_schema.no_info_after_validator_function(
            cls, handler.generate_schema(GenericAlias(dict, (UUID, value)))
        )
