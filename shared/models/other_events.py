"""Events about groups, entities and the installation itself."""

from typing import ClassVar, Literal
from uuid import UUID

from surehook.shared.models.event import EntityEvent, Event, GroupEvent
from surehook.shared.models.people import GroupMember
from surehook.shared.models.things import AuditLog, Entity, EventLog, Group


class GroupCreate(GroupEvent):
    type: Literal["group.create"]


class GroupCreateComplete(GroupEvent):
    type: Literal["group.create.complete"]


class GroupUpdate(GroupEvent):
    type: Literal["group.update"]
    original: Group | None = None


class GroupUpdateComplete(GroupEvent):
    type: Literal["group.update.complete"]
    original: Group | None = None


class GroupDelete(GroupEvent):
    type: Literal["group.delete"]


class GroupDeleteComplete(GroupEvent):
    type: Literal["group.delete.complete"]


class GroupMemberEvent(GroupEvent):
    """Has the members that changed."""

    members: tuple[GroupMember, ...] | None = None


class GroupMemberAdd(GroupMemberEvent):
    type: Literal["group.member.add"]


class GroupMemberAddComplete(GroupMemberEvent):
    type: Literal["group.member.add.complete"]


class GroupMemberUpdate(GroupMemberEvent):
    type: Literal["group.member.update"]


class GroupMemberUpdateComplete(GroupMemberEvent):
    type: Literal["group.member.update.complete"]


class GroupMemberRemove(GroupMemberEvent):
    type: Literal["group.member.remove"]


class GroupMemberRemoveComplete(GroupMemberEvent):
    type: Literal["group.member.remove.complete"]


class EntityCreate(EntityEvent):
    type: Literal["entity.create"]


class EntityCreateComplete(EntityEvent):
    type: Literal["entity.create.complete"]


class EntityUpdate(EntityEvent):
    type: Literal["entity.update"]
    original: Entity | None = None


class EntityUpdateComplete(EntityEvent):
    type: Literal["entity.update.complete"]
    original: Entity | None = None


class EntityDelete(EntityEvent):
    type: Literal["entity.delete"]


class EntityDeleteComplete(EntityEvent):
    type: Literal["entity.delete.complete"]


class AuditLogCreate(Event):
    type: Literal["audit-log.create"]
    audit_log: AuditLog | None = None


class EventLogCreate(Event):
    """FusionAuth logs a failed webhook, so a failing handler of this event may cause the next one."""

    type: Literal["event-log.create"]
    event_log: EventLog | None = None


class KickstartSuccess(Event):
    type: Literal["kickstart.success"]
    instance_id: UUID | None = None


class Test(Event):
    """Sent by FusionAuth's Kafka connection test."""

    __test__: ClassVar[bool] = False  # pytest would collect a class of this name

    type: Literal["test"]
    message: str | None = None
