"""What events tell of beside users: groups, entities, logs, mails, and where a request came from."""

from uuid import UUID

from pydantic import Field

from surehook.shared.models.fields import Fields
from surehook.shared.models.model import Flag, Instant, Json, Map, Model, Number, Whole


class Location(Model):
    """Where an IP address is thought to be; FusionAuth tells with an Enterprise plan."""

    city: str | None = None
    country: str | None = None
    display_string: str | None = None
    latitude: Number | None = None
    longitude: Number | None = None
    region: str | None = None
    zipcode: str | None = None


class EventInfo(Model):
    """Who asked FusionAuth for what the event tells of. The address is the caller's word unless proxies are set up."""

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
    roles: Map[UUID, tuple[ApplicationRole, ...]] | None = None
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
    """Something that is no user and can be granted permissions, or grant them."""

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
    """What somebody changed. The values are whatever the changed thing looks like, secrets perhaps included."""

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
