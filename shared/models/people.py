"""A user and what belongs to one. Every field may be missing, even an address or a name (FusionAuth issue 3191).

Where FusionAuth has an enumeration, the comment names the values known today; FusionAuth may send others.
"""

from uuid import UUID

from surehook.shared.models.fields import Fields
from surehook.shared.models.model import Day, Flag, Instant, Map, Model, Whole


class UserIdentity(Model):
    """One of the names a user can log in with."""

    display_value: str | None = None
    insert_instant: Instant | None = None
    last_login_instant: Instant | None = None
    last_update_instant: Instant | None = None
    moderation_status: str | None = None  # ACTIVE, PENDING, REJECTED
    primary: Flag | None = None
    type: str | None = None  # email, phoneNumber, username
    value: str | None = None
    verified: Flag | None = None
    verified_instant: Instant | None = None
    verified_reason: str | None = None  # Skipped, Trusted, Unverifiable, Implicit, Pending, Completed, Disabled, …


class IdentityInfo(Model):
    """An identity, by its name only."""

    type: str | None = None  # email, phoneNumber, username
    value: str | None = None


class UserRegistration(Model):
    """A user's registration for one application."""

    application_id: UUID | None = None
    authentication_token: str | None = None
    clean_speak_id: UUID | None = None
    data: Fields | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    last_login_instant: Instant | None = None
    last_update_instant: Instant | None = None
    preferred_languages: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    timezone: str | None = None
    tokens: Map[str, str] | None = None
    username: str | None = None
    username_status: str | None = None  # ACTIVE, PENDING, REJECTED
    verified: Flag | None = None
    verified_instant: Instant | None = None


class GroupMember(Model):
    """A user's membership in a group."""

    data: Fields | None = None
    group_id: UUID | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    user_id: UUID | None = None


class AuthenticatorConfiguration(Model):
    algorithm: str | None = None  # HmacSHA1, HmacSHA256, HmacSHA512
    code_length: Whole | None = None
    time_step: Whole | None = None


class TwoFactorMethod(Model):
    """How a user proves a second factor."""

    authenticator: AuthenticatorConfiguration | None = None
    email: str | None = None
    id: str | None = None
    last_used: Flag | None = None
    method: str | None = None  # authenticator, email, sms, voice
    mobile_phone: str | None = None
    name: str | None = None
    secret: str | None = None


class UserTwoFactorConfiguration(Model):
    methods: tuple[TwoFactorMethod, ...] | None = None
    recovery_codes: tuple[str, ...] | None = None


class User(Model):
    """A user. Only an import (user.bulk.create) may name the fields of a password."""

    active: Flag | None = None
    birth_date: Day | None = None
    breached_password_last_checked_instant: Instant | None = None
    breached_password_status: str | None = None  # None, ExactMatch, SubAddressMatch, PasswordOnly, CommonPassword
    clean_speak_id: UUID | None = None
    connector_id: UUID | None = None
    data: Fields | None = None
    email: str | None = None
    encryption_scheme: str | None = None
    expiry: Instant | None = None
    factor: Whole | None = None
    first_name: str | None = None
    full_name: str | None = None
    id: UUID | None = None
    identities: tuple[UserIdentity, ...] | None = None
    image_url: str | None = None
    insert_instant: Instant | None = None
    last_login_instant: Instant | None = None
    last_name: str | None = None
    last_update_instant: Instant | None = None
    legacy_identifier: str | None = None
    memberships: tuple[GroupMember, ...] | None = None
    middle_name: str | None = None
    mobile_phone: str | None = None
    parent_email: str | None = None
    password: str | None = None
    password_change_reason: str | None = None  # Administrative, Breached, Expired, Validation
    password_change_required: Flag | None = None
    password_last_update_instant: Instant | None = None
    phone_number: str | None = None
    preferred_languages: tuple[str, ...] | None = None
    registrations: tuple[UserRegistration, ...] | None = None
    salt: str | None = None
    tenant_id: UUID | None = None
    timezone: str | None = None
    two_factor: UserTwoFactorConfiguration | None = None
    # In older versions' payloads.
    two_factor_delivery: str | None = None  # None, TextMessage
    two_factor_enabled: Flag | None = None
    unique_username: str | None = None
    username: str | None = None
    username_status: str | None = None  # ACTIVE, PENDING, REJECTED
    verified: Flag | None = None
    verified_instant: Instant | None = None


class IdentityProviderLink(Model):
    """A user's account at an identity provider."""

    data: Fields | None = None
    display_name: str | None = None
    identity_provider_id: UUID | None = None
    identity_provider_name: str | None = None
    identity_provider_type: str | None = None  # Apple, ExternalJWT, Google, OpenIDConnect, SAMLv2, …
    identity_provider_user_id: str | None = None
    insert_instant: Instant | None = None
    last_login_instant: Instant | None = None
    tenant_id: UUID | None = None
    token: str | None = None
    user_id: UUID | None = None


class UserLoginFailedReason(Model):
    """Why a login failed."""

    code: str | None = None  # credentials, lambdaValidation
    lambda_id: UUID | None = None
    lambda_result: Fields | None = None


class DeviceInfo(Model):
    description: str | None = None
    last_accessed_address: str | None = None
    last_accessed_instant: Instant | None = None
    name: str | None = None
    type: str | None = None  # BROWSER, DESKTOP, LAPTOP, MOBILE, OTHER, SERVER, TABLET, TV, UNKNOWN


class RefreshTokenMetaData(Model):
    data: Fields | None = None
    device: DeviceInfo | None = None
    resources: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None


class RefreshToken(Model):
    """A refresh token, sometimes with its secret value."""

    application_id: UUID | None = None
    data: Fields | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    meta_data: RefreshTokenMetaData | None = None
    start_instant: Instant | None = None
    tenant_id: UUID | None = None
    token: str | None = None
    user_id: UUID | None = None
