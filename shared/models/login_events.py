"""Events about logins, tokens, passwords, second factors and user actions."""

from typing import Literal
from uuid import UUID

from surehook.shared.models.event import Event, UserEvent
from surehook.shared.models.id_map import IdMap
from surehook.shared.models.model import Flag, Instant, Whole
from surehook.shared.models.people import RefreshToken, TwoFactorMethod, User, UserLoginFailedReason
from surehook.shared.models.things import Email


class UserLoginFailed(UserEvent):
    type: Literal["user.login.failed"]
    application_id: UUID | None = None
    authentication_type: str | None = None
    ip_address: str | None = None
    reason: UserLoginFailedReason | None = None


class UserLoginEvent(UserEvent):
    """Tells how the user logged in. `authentication_type` is PASSWORD, PING, Google, SAMLv2 and many more."""

    application_id: UUID | None = None
    authentication_type: str | None = None
    connector_id: UUID | None = None
    identity_provider_id: UUID | None = None
    identity_provider_name: str | None = None
    ip_address: str | None = None


class UserLoginSuccess(UserLoginEvent):
    type: Literal["user.login.success"]


class UserLoginNewDevice(UserLoginEvent):
    type: Literal["user.login.new-device"]


class UserLoginSuspicious(UserLoginEvent):
    type: Literal["user.login.suspicious"]
    threats_detected: tuple[str, ...] | None = None


class UserTwoFactorEvent(UserEvent):
    """Has the purpose of a two-factor challenge."""

    application_id: UUID | None = None
    client_risk: str | None = None


class UserTwoFactorChallenge(UserTwoFactorEvent):
    type: Literal["user.two-factor.challenge"]


class UserTwoFactorFailedAttempt(UserTwoFactorEvent):
    type: Literal["user.two-factor.failed-attempt"]
    message_type: str | None = None
    method: str | None = None


class UserTwoFactorSuccess(UserTwoFactorEvent):
    type: Literal["user.two-factor.success"]
    message_type: str | None = None
    method: str | None = None


class UserTwoFactorMethodAdd(UserEvent):
    type: Literal["user.two-factor.method.add"]
    method: TwoFactorMethod | None = None


class UserTwoFactorMethodRemove(UserEvent):
    type: Literal["user.two-factor.method.remove"]
    method: TwoFactorMethod | None = None


class UserPasswordBreach(UserEvent):
    type: Literal["user.password.breach"]


class UserPasswordResetSend(UserEvent):
    type: Literal["user.password.reset.send"]


class UserPasswordResetStart(UserEvent):
    type: Literal["user.password.reset.start"]


class UserPasswordResetSuccess(UserEvent):
    type: Literal["user.password.reset.success"]


class UserPasswordUpdate(UserEvent):
    type: Literal["user.password.update"]


class UserAction(Event):
    """A moderator did something to a user. An action without end expires in the year 9999."""

    type: Literal["user.action"]
    action: str | None = None
    action_id: UUID | None = None
    actionee_user_id: UUID | None = None
    actioner_user_id: UUID | None = None
    application_ids: tuple[UUID, ...] | None = None
    comment: str | None = None
    email: Email | None = None
    emailed_user: Flag | None = None
    expiry: Instant | None = None
    localized_action: str | None = None
    localized_duration: str | None = None
    localized_option: str | None = None
    localized_reason: str | None = None
    notify_user: Flag | None = None
    option: str | None = None
    phase: str | None = None
    reason: str | None = None
    reason_code: str | None = None


class JWTPublicKeyUpdate(Event):
    type: Literal["jwt.public-key.update"]
    application_ids: tuple[UUID, ...] | None = None


class JWTRefresh(Event):
    """Carries live tokens."""

    type: Literal["jwt.refresh"]
    application_id: UUID | None = None
    original: str | None = None
    refresh_token: str | None = None
    token: str | None = None
    user_id: UUID | None = None


class JWTRefreshTokenRevoke(Event):
    """One token, or all of a user or an application; the other ids are missing."""

    type: Literal["jwt.refresh-token.revoke"]
    application_id: UUID | None = None
    application_time_to_live_in_seconds: IdMap[Whole] | None = None
    refresh_token: RefreshToken | None = None
    user: User | None = None
    user_id: UUID | None = None
