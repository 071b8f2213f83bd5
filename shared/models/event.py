"""The event that a handler is given: the base of all types, and the bases of families of types."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import ConfigDict

from surehook.shared.models.model import Instant, Model
from surehook.shared.models.people import User, UserRegistration
from surehook.shared.models.things import Entity, EventInfo, Group


class Event(Model):
    """An event of a type that has no model, or one whose body did not fit its model; and the base of all others.

    Fields without a model are read as they came: `event["user"]`, `event.get("user")`.
    """

    # A worker gets few of the types, so each model is built with its first event.
    model_config = ConfigDict(defer_build=True)
    __slots__ = ("_misfits", "_raw")
    if TYPE_CHECKING:  # pydantic would make them private attributes
        _misfits: tuple[str, ...]
        _raw: bytes

    id: UUID
    type: str
    tenant_id: UUID | None = None
    create_instant: Instant | None = None
    info: EventInfo | None = None
    linked_object_id: UUID | None = None

    @property
    def raw(self) -> bytes:
        """The body as FusionAuth sent it."""
        return self._raw

    @property
    def misfits(self) -> tuple[str, ...]:
        """The fields that did not fit the type's model, as in `("user.birthDate",)`. Empty if it did."""
        return self._misfits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and type(self) is type(other) and (self.id, self.raw) == (other.id, other.raw)

    def __hash__(self) -> int:
        return hash(self.id)

    def __copy__(self) -> "Event":
        return self

    def __deepcopy__(self, _: Any = None) -> "Event":
        return self

    def __getstate__(self) -> dict[Any, Any]:
        return super().__getstate__() | {"misfits": self._misfits, "raw": self._raw}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        object.__setattr__(self, "_misfits", state["misfits"])
        object.__setattr__(self, "_raw", state["raw"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.type} {self.id})"


class UserEvent(Event):
    """Has a `user`."""

    user: User | None = None


class UserRegistrationEvent(UserEvent):
    """Has a user's registration for an application."""

    application_id: UUID | None = None
    registration: UserRegistration | None = None


class GroupEvent(Event):
    """Has a `group`."""

    group: Group | None = None


class EntityEvent(Event):
    """Has an `entity`."""

    entity: Entity | None = None
