"""A population of users whose doings fire events: always the same for the same seed.

FACTS §7 says which events belong together: a type and its `.complete`, an address and the identity that it verifies,
a two-factor challenge and its result.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from surehook.fusionauth.simulator.records import Json
from surehook.shared.event_types import EVENT_TYPES

FIRST_NAMES = ("Ada", "Bela", "Chidi", "Dora", "Emre", "Farah", "Goran", "Hana", "Ines", "Jomo", "Kira", "Lars")
LAST_NAMES = ("Adeyemi", "Brandt", "Costa", "Dvorak", "Eriksen", "Fontaine", "Garcia", "Haddad", "Ito", "Jansen")
BULK_DELETE_USERS = 3
# The others of a large import do nothing afterwards, so that they need not be kept.
MOST_ACTIVE_OF_AN_IMPORT = 100

# How often each happens, in parts of the whole. Most of what FusionAuth sends are logins and updates.
WEIGHTS = {
    "register": 16,
    "log in": 30,
    "fail to log in": 8,
    "update": 20,
    "log in with a provider": 6,
    "verify": 6,
    "reset a password": 4,
    "use a second factor": 4,
    "join a group": 3,
    "delete": 6,
    "delete in bulk": 1,
    "import": 1,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a user does.

    `before` is sent while the database transaction is open, and each can stop it; `after` once it has committed.
    `apply` changes the population then.
    """

    name: str
    before: tuple[Json, ...]
    after: tuple[Json, ...]
    apply: Callable[[], None]

    @property
    def events(self) -> tuple[Json, ...]:
        return self.before + self.after


def operation(name: str, *events: Json, apply: Callable[[], None] = lambda: None) -> Operation:
    """Returns an operation whose transactional events come before the commit."""
    before = tuple(event for event in events if EVENT_TYPES[event["type"]].is_transactional)
    after = tuple(event for event in events if not EVENT_TYPES[event["type"]].is_transactional)
    return Operation(name, before, after, apply)


@dataclass
class Population:
    """Users of one application, without a clock or a network of its own."""

    seed: int
    tenant_id: str
    application_id: str
    now_ms: Callable[[], int]
    import_size: int = 20
    users: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a reproducible choice is wanted

    def operations(self) -> Iterator[Operation]:
        """Returns operations without end."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        while True:
            name = self._random.choices(names, weights)[0] if self.users else "register"
            yield _OPERATIONS[name](self)

    def event(self, event_type: str, **own: Any) -> Json:
        """Returns an event with an id of its own and the fields that all events have."""
        event = {
            "createInstant": self.now_ms(),
            "id": self._id(),
            "info": {"ipAddress": f"203.0.113.{self._random.randrange(1, 255)}"},
            "type": event_type,
            **own,
        }
        if EVENT_TYPES[event_type].scope == "tenant":
            event["tenantId"] = self.tenant_id
        linked = own.get("user") or own.get("group")
        if linked:
            event["linkedObjectId"] = linked["id"]
        return event

    def pair(self, event_type: str, **own: Any) -> tuple[Json, Json]:
        """Returns an event and its `.complete`: two events with two ids."""
        return self.event(event_type, **own), self.event(f"{event_type}.complete", **own)

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _any_user(self) -> Json:
        return self.users[self._random.choice(list(self.users))]

    def _new_user(self) -> Json:
        first, last = self._random.choice(FIRST_NAMES), self._random.choice(LAST_NAMES)
        user_id, now = self._id(), self.now_ms()
        email = f"{first}.{last}.{user_id[:8]}@example.com".lower()
        return {
            "active": True,
            "data": {},
            "email": email,
            "firstName": first,
            "id": user_id,
            "identities": [
                {"displayValue": email, "primary": True, "type": "email", "value": email, "verified": False}
            ],
            "insertInstant": now,
            "lastName": last,
            "lastUpdateInstant": now,
            "tenantId": self.tenant_id,
            "usernameStatus": "ACTIVE",
            "verified": False,
        }

    def _keep(self, user: Json) -> Callable[[], None]:
        def apply() -> None:
            self.users[user["id"]] = user

        return apply

    def _drop(self, users: list[Json]) -> Callable[[], None]:
        def apply() -> None:
            for user in users:
                self.users.pop(user["id"], None)

        return apply

    def _register(self) -> Operation:
        user = self._new_user()
        registration = {"applicationId": self.application_id, "roles": ["reader"], "verified": True}
        own = {"user": user, "applicationId": self.application_id, "registration": registration}
        events = (*self.pair("user.create", user=user), *self.pair("user.registration.create", **own))
        return operation("register", *events, apply=self._keep(user))

    def _log_in(self) -> Operation:
        user = self._any_user() | {"lastLoginInstant": self.now_ms()}
        own = {"user": user, "applicationId": self.application_id, "authenticationType": "PASSWORD"}
        return operation("log in", self.event("user.login.success", **own), apply=self._keep(user))

    def _fail_to_log_in(self) -> Operation:
        own = {"user": self._any_user(), "applicationId": self.application_id, "authenticationType": "PASSWORD"}
        failed = self.event("user.login.failed", **own, reason={"code": "credentials"})
        return operation("fail to log in", failed)

    def _update(self) -> Operation:
        original = self._any_user()
        user = original | {"lastName": self._random.choice(LAST_NAMES), "lastUpdateInstant": self.now_ms()}
        events = self.pair("user.update", user=user, original=original)
        return operation("update", *events, apply=self._keep(user))

    def _log_in_with_a_provider(self) -> Operation:
        """Each login through an identity provider updates the user, changed or not."""
        original = self._any_user()
        user = original | {"lastLoginInstant": self.now_ms()}
        events = self.pair("user.update", user=user, original=original)
        own = {"user": user, "applicationId": self.application_id, "authenticationType": "Google"}
        login = self.event("user.login.success", **own)
        return operation("log in with a provider", *events, login, apply=self._keep(user))

    def _verify(self) -> Operation:
        user = self._any_user() | {"verified": True}
        events = (self.event(name, user=user) for name in ("user.email.verified", "user.identity.verified"))
        return operation("verify", *events, apply=self._keep(user))

    def _reset_a_password(self) -> Operation:
        user = self._any_user()
        types = ("user.password.reset.send", "user.password.reset.start", "user.password.reset.success")
        return operation("reset a password", *(self.event(name, user=user) for name in types))

    def _use_a_second_factor(self) -> Operation:
        own = {"user": self._any_user(), "applicationId": self.application_id}
        attempts = [self.event("user.two-factor.challenge", **own)]
        attempts += [self.event("user.two-factor.failed-attempt", **own) for _ in range(self._random.randrange(3))]
        return operation("use a second factor", *attempts, self.event("user.two-factor.success", **own))

    def _join_a_group(self) -> Operation:
        group = {"id": self._id(), "name": "Readers", "tenantId": self.tenant_id}
        member = {"id": self._id(), "userId": self._any_user()["id"]}
        return operation("join a group", *self.pair("group.member.add", group=group, members=[member]))

    def _delete(self) -> Operation:
        user = self._any_user()
        return operation("delete", *self.pair("user.delete", user=user), apply=self._drop([user]))

    def _delete_in_bulk(self) -> Operation:
        """A bulk delete sends no `user.delete.complete` (FACTS §15)."""
        chosen = self._random.sample(list(self.users), min(BULK_DELETE_USERS, len(self.users)))
        users = [self.users[user_id] for user_id in chosen]
        events = (self.event("user.delete", user=user) for user in users)
        return operation("delete in bulk", *events, apply=self._drop(users))

    def _import(self) -> Operation:
        return self.import_of(self.import_size)

    def import_of(self, size: int) -> Operation:
        """Returns an import: one event for all its users, and never user.create."""
        users = [self._new_user() for _ in range(size)]

        def apply() -> None:
            self.users.update((user["id"], user) for user in users[:MOST_ACTIVE_OF_AN_IMPORT])

        return operation("import", self.event("user.bulk.create", users=users), apply=apply)


_OPERATIONS: dict[str, Callable[[Population], Operation]] = {
    name: getattr(Population, "_" + name.replace(" ", "_")) for name in WEIGHTS
}
