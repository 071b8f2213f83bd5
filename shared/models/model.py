"""The base of all models: read-only, snake_case names, unknown fields kept, no values in its repr.

A model declares what FusionAuth's documentation and client libraries know. Any field may be missing, for FusionAuth
leaves nulls out and older versions know less: it is None then. A field that no model knows yet is kept.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
)

from surehook.shared.models.fields import FrozenDict, camel, frozen, thawed

Key = TypeVar("Key")
Value = TypeVar("Value")

# FusionAuth writes "for ever" as the largest long. The limits are a day from the ends, to be valid in any zone.
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def _beyond_the_calendar(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("not an instant")  # noqa: TRY004 - pydantic wants a ValueError
    return LATEST if value > 0 else EARLIEST


def _only_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("not a date")  # noqa: TRY004 - the same; a number would pass for a date
    return value


# FusionAuth sends milliseconds since 1970.
Instant = Annotated[
    AwareDatetime | Annotated[datetime, PlainValidator(_beyond_the_calendar)], Field(union_mode="left_to_right")
]
Day = Annotated[date, BeforeValidator(_only_text)]
# Strict, because 1 is not true and "5" is not 5: the handler must see the value that was sent.
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Map = Annotated[Mapping[Key, Value], AfterValidator(FrozenDict)]
# Any JSON.
Json = Annotated[Any, BeforeValidator(frozen), PlainSerializer(thawed)]


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


class Model(BaseModel):
    """A JSON object of a known shape. Fields read as attributes, and under FusionAuth's own names as `user["email"]`.

    A field that did not come reads as None, whether or not this class declares it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=camel,
        val_temporal_unit="milliseconds",
        # A value that does not fit may be personal data.
        hide_input_in_errors=True,
    )
    _attribute_of: ClassVar[dict[str, str]] = {}
    _attribute_by_letters: ClassVar[dict[str, str]] = {}
    _known_names: ClassVar[set[str]] = set()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls._attribute_of = {field.alias or name: name for name, field in cls.model_fields.items()}
        cls._attribute_by_letters = {_letters(name): name for name in cls.model_fields}
        Model._known_names.update(cls._attribute_of)

    @classmethod
    def names(cls) -> list[str]:
        """FusionAuth's names of the fields."""
        return list(cls._attribute_of)

    @classmethod
    def attribute_of(cls, name: str) -> str | None:
        """The attribute for one of FusionAuth's names."""
        return cls._attribute_of.get(name)

    @staticmethod
    def is_known(name: object) -> bool:
        """Says whether a model has a field of this name, so that the name is FusionAuth's and not a user's."""
        return name in Model._known_names

    def __getitem__(self, name: str) -> Any:
        attribute = self._attribute_of.get(name)
        if attribute is None:
            return frozen((self.__pydantic_extra__ or {})[name])
        if attribute not in self.model_fields_set:
            raise KeyError(name)
        return self.__dict__[attribute]

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def get(self, name: str, default: Any = None) -> Any:
        """Returns a field by FusionAuth's name, even one that no model declares."""
        try:
            return self[name]
        except KeyError:
            return default

    def keys(self) -> list[str]:
        """Returns FusionAuth's names of the fields that were sent."""
        known = [name for name, attribute in self._attribute_of.items() if attribute in self.model_fields_set]
        return [*known, *(self.__pydantic_extra__ or ())]

    if not TYPE_CHECKING:  # a type checker would accept any misspelt field

        def __getattr__(self, name: str) -> Any:
            extra = {} if name.startswith("_") else self.__pydantic_extra__ or {}
            for spelling in (name, camel(name)):
                if spelling in extra:
                    return frozen(extra[spelling])
            meant = self._attribute_by_letters.get(_letters(name))
            if meant is not None or name.startswith("_"):
                hint = f": it is spelt {meant}" if meant else ""
                raise AttributeError(f"{type(self).__name__} has no field {name}{hint}")
            return None  # FusionAuth leaves out what is null, in fields that are newer than this class, too

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"events are immutable: {name} cannot be set")

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"events are immutable: {name} cannot be deleted")

    def __hash__(self) -> int:
        return hash((type(self), self.__dict__.get("id")))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # Names alone, for rich and other printers too: values are personal data, and a repr ends up in tracebacks.
        for name in self.keys():
            yield None, name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.keys())})"

    def __str__(self) -> str:
        return repr(self)
