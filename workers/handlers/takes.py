"""What a handler may take, for each type of event and each family of types: of `typed_on`, for type checkers alone."""

from collections.abc import Callable
from typing import Literal, TypeVar

from surehook.shared.models import Event, event
from surehook.shared.models import account_events as account
from surehook.shared.models import login_events as login
from surehook.shared.models import other_events as other
from surehook.workers.handlers.attempt import Attempt

E = TypeVar("E")
Takes = Callable[[E], object] | Callable[[E, Attempt], object]

# fmt: off
AnyEvent = TypeVar("AnyEvent", bound=Takes[Event])
UserIdentityProviderLinkEvent = TypeVar("UserIdentityProviderLinkEvent", bound=Takes[account.UserIdentityProviderLinkEvent])
UserLoginIdDuplicateEvent = TypeVar("UserLoginIdDuplicateEvent", bound=Takes[account.UserLoginIdDuplicateEvent])
UserRegistrationEvent = TypeVar("UserRegistrationEvent", bound=Takes[event.UserRegistrationEvent])
UserLoginEvent = TypeVar("UserLoginEvent", bound=Takes[login.UserLoginEvent])
UserTwoFactorEvent = TypeVar("UserTwoFactorEvent", bound=Takes[login.UserTwoFactorEvent])
GroupMemberEvent = TypeVar("GroupMemberEvent", bound=Takes[other.GroupMemberEvent])
EntityEvent = TypeVar("EntityEvent", bound=Takes[event.EntityEvent])
GroupEvent = TypeVar("GroupEvent", bound=Takes[event.GroupEvent])
UserEvent = TypeVar("UserEvent", bound=Takes[event.UserEvent])
EntityCreate = TypeVar("EntityCreate", bound=Takes[other.EntityCreate])
EntityDelete = TypeVar("EntityDelete", bound=Takes[other.EntityDelete])
EntityUpdate = TypeVar("EntityUpdate", bound=Takes[other.EntityUpdate])
GroupCreate = TypeVar("GroupCreate", bound=Takes[other.GroupCreate])
GroupDelete = TypeVar("GroupDelete", bound=Takes[other.GroupDelete])
GroupMemberAdd = TypeVar("GroupMemberAdd", bound=Takes[other.GroupMemberAdd])
GroupMemberRemove = TypeVar("GroupMemberRemove", bound=Takes[other.GroupMemberRemove])
GroupMemberUpdate = TypeVar("GroupMemberUpdate", bound=Takes[other.GroupMemberUpdate])
GroupUpdate = TypeVar("GroupUpdate", bound=Takes[other.GroupUpdate])
JWTPublicKeyUpdate = TypeVar("JWTPublicKeyUpdate", bound=Takes[login.JWTPublicKeyUpdate])
JWTRefresh = TypeVar("JWTRefresh", bound=Takes[login.JWTRefresh])
JWTRefreshTokenRevoke = TypeVar("JWTRefreshTokenRevoke", bound=Takes[login.JWTRefreshTokenRevoke])
Test = TypeVar("Test", bound=Takes[other.Test])
UserAction = TypeVar("UserAction", bound=Takes[login.UserAction])
UserBulkCreate = TypeVar("UserBulkCreate", bound=Takes[account.UserBulkCreate])
UserCreate = TypeVar("UserCreate", bound=Takes[account.UserCreate])
UserDeactivate = TypeVar("UserDeactivate", bound=Takes[account.UserDeactivate])
UserDelete = TypeVar("UserDelete", bound=Takes[account.UserDelete])
UserEmailVerified = TypeVar("UserEmailVerified", bound=Takes[account.UserEmailVerified])
UserIdentityUpdate = TypeVar("UserIdentityUpdate", bound=Takes[account.UserIdentityUpdate])
UserIdentityVerified = TypeVar("UserIdentityVerified", bound=Takes[account.UserIdentityVerified])
UserLoginFailed = TypeVar("UserLoginFailed", bound=Takes[login.UserLoginFailed])
UserLoginNewDevice = TypeVar("UserLoginNewDevice", bound=Takes[login.UserLoginNewDevice])
UserLoginSuccess = TypeVar("UserLoginSuccess", bound=Takes[login.UserLoginSuccess])
UserLoginSuspicious = TypeVar("UserLoginSuspicious", bound=Takes[login.UserLoginSuspicious])
UserPasswordBreach = TypeVar("UserPasswordBreach", bound=Takes[login.UserPasswordBreach])
UserReactivate = TypeVar("UserReactivate", bound=Takes[account.UserReactivate])
UserRegistrationCreate = TypeVar("UserRegistrationCreate", bound=Takes[account.UserRegistrationCreate])
UserRegistrationDelete = TypeVar("UserRegistrationDelete", bound=Takes[account.UserRegistrationDelete])
UserRegistrationUpdate = TypeVar("UserRegistrationUpdate", bound=Takes[account.UserRegistrationUpdate])
UserRegistrationVerified = TypeVar("UserRegistrationVerified", bound=Takes[account.UserRegistrationVerified])
UserUpdate = TypeVar("UserUpdate", bound=Takes[account.UserUpdate])
EntityCreateComplete = TypeVar("EntityCreateComplete", bound=Takes[other.EntityCreateComplete])
EntityDeleteComplete = TypeVar("EntityDeleteComplete", bound=Takes[other.EntityDeleteComplete])
EntityUpdateComplete = TypeVar("EntityUpdateComplete", bound=Takes[other.EntityUpdateComplete])
GroupCreateComplete = TypeVar("GroupCreateComplete", bound=Takes[other.GroupCreateComplete])
GroupDeleteComplete = TypeVar("GroupDeleteComplete", bound=Takes[other.GroupDeleteComplete])
GroupMemberAddComplete = TypeVar("GroupMemberAddComplete", bound=Takes[other.GroupMemberAddComplete])
GroupMemberRemoveComplete = TypeVar("GroupMemberRemoveComplete", bound=Takes[other.GroupMemberRemoveComplete])
GroupMemberUpdateComplete = TypeVar("GroupMemberUpdateComplete", bound=Takes[other.GroupMemberUpdateComplete])
GroupUpdateComplete = TypeVar("GroupUpdateComplete", bound=Takes[other.GroupUpdateComplete])
UserCreateComplete = TypeVar("UserCreateComplete", bound=Takes[account.UserCreateComplete])
UserDeleteComplete = TypeVar("UserDeleteComplete", bound=Takes[account.UserDeleteComplete])
UserEmailUpdate = TypeVar("UserEmailUpdate", bound=Takes[account.UserEmailUpdate])
UserIdentityProviderLink = TypeVar("UserIdentityProviderLink", bound=Takes[account.UserIdentityProviderLink])
UserIdentityProviderUnlink = TypeVar("UserIdentityProviderUnlink", bound=Takes[account.UserIdentityProviderUnlink])
UserLoginIdDuplicateOnCreate = TypeVar("UserLoginIdDuplicateOnCreate", bound=Takes[account.UserLoginIdDuplicateOnCreate])
UserLoginIdDuplicateOnUpdate = TypeVar("UserLoginIdDuplicateOnUpdate", bound=Takes[account.UserLoginIdDuplicateOnUpdate])
UserPasswordResetSend = TypeVar("UserPasswordResetSend", bound=Takes[login.UserPasswordResetSend])
UserPasswordResetStart = TypeVar("UserPasswordResetStart", bound=Takes[login.UserPasswordResetStart])
UserPasswordResetSuccess = TypeVar("UserPasswordResetSuccess", bound=Takes[login.UserPasswordResetSuccess])
UserPasswordUpdate = TypeVar("UserPasswordUpdate", bound=Takes[login.UserPasswordUpdate])
UserRegistrationCreateComplete = TypeVar("UserRegistrationCreateComplete", bound=Takes[account.UserRegistrationCreateComplete])
UserRegistrationDeleteComplete = TypeVar("UserRegistrationDeleteComplete", bound=Takes[account.UserRegistrationDeleteComplete])
UserRegistrationUpdateComplete = TypeVar("UserRegistrationUpdateComplete", bound=Takes[account.UserRegistrationUpdateComplete])
UserTwoFactorChallenge = TypeVar("UserTwoFactorChallenge", bound=Takes[login.UserTwoFactorChallenge])
UserTwoFactorFailedAttempt = TypeVar("UserTwoFactorFailedAttempt", bound=Takes[login.UserTwoFactorFailedAttempt])
UserTwoFactorMethodAdd = TypeVar("UserTwoFactorMethodAdd", bound=Takes[login.UserTwoFactorMethodAdd])
UserTwoFactorMethodRemove = TypeVar("UserTwoFactorMethodRemove", bound=Takes[login.UserTwoFactorMethodRemove])
UserTwoFactorSuccess = TypeVar("UserTwoFactorSuccess", bound=Takes[login.UserTwoFactorSuccess])
UserUpdateComplete = TypeVar("UserUpdateComplete", bound=Takes[account.UserUpdateComplete])
AuditLogCreate = TypeVar("AuditLogCreate", bound=Takes[other.AuditLogCreate])
EventLogCreate = TypeVar("EventLogCreate", bound=Takes[other.EventLogCreate])
KickstartSuccess = TypeVar("KickstartSuccess", bound=Takes[other.KickstartSuccess])
# fmt: on

UserIdentityProviderLinkEventType = Literal["user.identity-provider.link", "user.identity-provider.unlink"]
UserLoginIdDuplicateEventType = Literal["user.loginId.duplicate.create", "user.loginId.duplicate.update"]
UserRegistrationEventType = Literal[
    "user.registration.create",
    "user.registration.create.complete",
    "user.registration.delete",
    "user.registration.delete.complete",
    "user.registration.update",
    "user.registration.update.complete",
    "user.registration.verified",
]
UserLoginEventType = Literal["user.login.new-device", "user.login.success", "user.login.suspicious"]
UserTwoFactorEventType = Literal[
    "user.two-factor.challenge", "user.two-factor.failed-attempt", "user.two-factor.success"
]
GroupMemberEventType = Literal[
    "group.member.add",
    "group.member.add.complete",
    "group.member.remove",
    "group.member.remove.complete",
    "group.member.update",
    "group.member.update.complete",
]
EntityEventType = Literal[
    "entity.create",
    "entity.create.complete",
    "entity.delete",
    "entity.delete.complete",
    "entity.update",
    "entity.update.complete",
]
GroupEventType = Literal[
    "group.create",
    "group.create.complete",
    "group.delete",
    "group.delete.complete",
    "group.member.add",
    "group.member.add.complete",
    "group.member.remove",
    "group.member.remove.complete",
    "group.member.update",
    "group.member.update.complete",
    "group.update",
    "group.update.complete",
]
UserEventType = Literal[
    "user.create",
    "user.create.complete",
    "user.deactivate",
    "user.delete",
    "user.delete.complete",
    "user.email.update",
    "user.email.verified",
    "user.identity-provider.link",
    "user.identity-provider.unlink",
    "user.identity.update",
    "user.identity.verified",
    "user.login.failed",
    "user.login.new-device",
    "user.login.success",
    "user.login.suspicious",
    "user.loginId.duplicate.create",
    "user.loginId.duplicate.update",
    "user.password.breach",
    "user.password.reset.send",
    "user.password.reset.start",
    "user.password.reset.success",
    "user.password.update",
    "user.reactivate",
    "user.registration.create",
    "user.registration.create.complete",
    "user.registration.delete",
    "user.registration.delete.complete",
    "user.registration.update",
    "user.registration.update.complete",
    "user.registration.verified",
    "user.two-factor.challenge",
    "user.two-factor.failed-attempt",
    "user.two-factor.method.add",
    "user.two-factor.method.remove",
    "user.two-factor.success",
    "user.update",
    "user.update.complete",
]
