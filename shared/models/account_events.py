"""Events about users, their registrations and identities."""

from typing import Literal

from surehook.shared.models.event import Event, UserEvent, UserRegistrationEvent
from surehook.shared.models.people import IdentityInfo, IdentityProviderLink, User, UserRegistration


class UserCreate(UserEvent):
    type: Literal["user.create"]


class UserCreateComplete(UserEvent):
    type: Literal["user.create.complete"]


class UserBulkCreate(Event):
    """An import; user.create is not sent for it."""

    type: Literal["user.bulk.create"]
    users: tuple[User, ...] | None = None


class UserUpdate(UserEvent):
    type: Literal["user.update"]
    original: User | None = None


class UserUpdateComplete(UserEvent):
    type: Literal["user.update.complete"]
    original: User | None = None


class UserDeactivate(UserEvent):
    type: Literal["user.deactivate"]


class UserReactivate(UserEvent):
    type: Literal["user.reactivate"]


class UserDelete(UserEvent):
    type: Literal["user.delete"]


class UserDeleteComplete(UserEvent):
    type: Literal["user.delete.complete"]


class UserEmailUpdate(UserEvent):
    type: Literal["user.email.update"]
    previous_email: str | None = None


class UserEmailVerified(UserEvent):
    type: Literal["user.email.verified"]


class UserIdentityUpdate(UserEvent):
    type: Literal["user.identity.update"]
    login_id_type: str | None = None
    new_login_id: str | None = None
    previous_login_id: str | None = None


class UserIdentityVerified(UserEvent):
    """The user may be missing: an identity can be verified before there is one."""

    type: Literal["user.identity.verified"]
    login_id: str | None = None
    login_id_type: str | None = None


class UserLoginIdDuplicateEvent(UserEvent):
    """A user was given a login id that `existing` has."""

    existing: User | None = None
    duplicate_email: str | None = None
    duplicate_identities: tuple[IdentityInfo, ...] | None = None
    duplicate_phone_number: str | None = None
    duplicate_username: str | None = None


class UserLoginIdDuplicateOnCreate(UserLoginIdDuplicateEvent):
    type: Literal["user.loginId.duplicate.create"]


class UserLoginIdDuplicateOnUpdate(UserLoginIdDuplicateEvent):
    type: Literal["user.loginId.duplicate.update"]


class UserIdentityProviderLinkEvent(UserEvent):
    """Has a user's account at an identity provider."""

    identity_provider_link: IdentityProviderLink | None = None


class UserIdentityProviderLink(UserIdentityProviderLinkEvent):
    type: Literal["user.identity-provider.link"]


class UserIdentityProviderUnlink(UserIdentityProviderLinkEvent):
    type: Literal["user.identity-provider.unlink"]


class UserRegistrationCreate(UserRegistrationEvent):
    type: Literal["user.registration.create"]


class UserRegistrationCreateComplete(UserRegistrationEvent):
    type: Literal["user.registration.create.complete"]


class UserRegistrationUpdate(UserRegistrationEvent):
    type: Literal["user.registration.update"]
    original: UserRegistration | None = None


class UserRegistrationUpdateComplete(UserRegistrationEvent):
    type: Literal["user.registration.update.complete"]
    original: UserRegistration | None = None


class UserRegistrationDelete(UserRegistrationEvent):
    type: Literal["user.registration.delete"]


class UserRegistrationDeleteComplete(UserRegistrationEvent):
    type: Literal["user.registration.delete.complete"]


class UserRegistrationVerified(UserRegistrationEvent):
    type: Literal["user.registration.verified"]
