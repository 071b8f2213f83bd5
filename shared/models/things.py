"""Objects inside events, other than users: groups, entities, logs, mails, and the origin of a request."""

from uuid import UUID

from pydantic import Field

from surehook.shared.models.fields import Fields
from surehook.shared.models.id_map import IdMap
from surehook.shared.models.model import Flag, Instant, Json, Model, Number, Whole


class Location(Model):
    """The estimated location of an IP address; sent by FusionAuth with an Enterprise plan."""

    city: str | None = None
    country: str | None = None
    display_string: str | None = None
    latitude: Number | None = None
    longitude: Number | None = None
    region: str | None = None
    zipcode: str | None = None


class EventInfo(Model):
    """The origin of the request that caused the event. The address is the client's claim unless proxies are set up."""

    data: Fields | None = None
    device_description: str | None = None
    device_name: str | None = None
    device_type: str | None = None
    ip_address: str | None = None
    location: Location | None = None
    os: str | None = None
    user_agent: str | None = None


class ApplicationRole(Model):
    description: str | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    is_default: Flag | None = None
    is_super_role: Flag | None = None
    last_update_instant: Instant | None = None
    name: str | None = None


class Group(Model):
    """A group; `roles` by application."""

    data: Fields | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    last_update_instant: Instant | None = None
    name: str | None = None
    roles: IdMap[tuple[ApplicationRole, ...]] | None = None
    tenant_id: UUID | None = None


class EntityJWTConfiguration(Model):
    access_token_key_id: UUID | None = None
    access_token_verification_key_ids: tuple[UUID, ...] | None = None
    enabled: Flag | None = None
    time_to_live_in_seconds: Whole | None = None


class EntityTypePermission(Model):
    data: Fields | None = None
    description: str | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    is_default: Flag | None = None
    last_update_instant: Instant | None = None
    name: str | None = None


class EntityType(Model):
    data: Fields | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    jwt_configuration: EntityJWTConfiguration | None = None
    last_update_instant: Instant | None = None
    name: str | None = None
    permissions: tuple[EntityTypePermission, ...] | None = None


class Entity(Model):
    """A thing, not a user, that can be granted permissions or grant them."""

    client_id: str | None = None
    client_secret: str | None = None
    data: Fields | None = None
    id: UUID | None = None
    insert_instant: Instant | None = None
    last_update_instant: Instant | None = None
    name: str | None = None
    parent_id: UUID | None = None
    tenant_id: UUID | None = None
    type: EntityType | None = None


class AuditLog(Model):
    """A change made by an administrator. The values have the changed object's shape, and may hold secrets."""

    data: Fields | None = None
    id: Whole | None = None
    insert_instant: Instant | None = None
    insert_user: str | None = None
    message: str | None = None
    new_value: Json = None
    old_value: Json = None
    reason: str | None = None
    tenant_id: UUID | None = None


class EventLog(Model):
    id: Whole | None = None
    insert_instant: Instant | None = None
    message: str | None = None
    type: str | None = None  # Information, Debug, Error


class EmailAddress(Model):
    address: str | None = None
    display: str | None = None


class Attachment(Model):
    attachment: str | None = None  # base64
    mime: str | None = None
    name: str | None = None


class Email(Model):
    """A mail that a user action asks to be sent. Its sender is `from_`: Python keeps `from` to itself."""

    attachments: tuple[Attachment, ...] | None = None
    bcc: tuple[EmailAddress, ...] | None = None
    cc: tuple[EmailAddress, ...] | None = None
    from_: EmailAddress | None = Field(default=None, alias="from")
    html: str | None = None
    reply_to: EmailAddress | None = None
    subject: str | None = None
    text: str | None = None
    to: tuple[EmailAddress, ...] | None = None
