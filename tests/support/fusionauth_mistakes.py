"""Mistakes in FusionAuth's configuration that were seen or can be made: each changes a sound installation."""

from collections.abc import Callable
from typing import Any

from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.quirks import Version
from surehook.workers.handlers.registry import on
from tests.support.fusionauth_world import SECRET, TYPES, World, ignore
from tests.support.simulated_fusionauth import NOW, a_webhook

OTHER_KEY = "another-planted-key-0123456789abcdefg"
OTHER_TENANT = "5b0a7b52-2222-4d0f-8f43-6d1c2b3a4f99"
DAY_MS = 86_400_000


def leads_elsewhere(world: World) -> None:
    world.hook["url"] = "http://127.0.0.1:9/other"


def use_basic_beside(world: World) -> None:
    world.hook |= {
        "headers": {"authorization": SECRET},
        "httpAuthenticationUsername": "u",
        "httpAuthenticationPassword": OTHER_KEY,
    }


def retain(days: int) -> dict[str, Any]:
    delete = {"enabled": True, "numberOfDaysToRetain": days}
    return {"webhookEventLogConfiguration": {"enabled": True, "delete": delete}}


def without_log(world: World) -> None:
    world.instance.configure({"webhookEventLogConfiguration": {"enabled": False}})


def with_other_webhook(world: World) -> None:
    world.instance.save_webhook(a_webhook(eventsEnabled=dict(TYPES)))


def transactional(world: World) -> None:
    world.settings["transactional_events"] = ("user.create",)


def logged(*statuses: int, **more: Any) -> Callable[[World], None]:
    def log(world: World) -> None:
        world.save()
        world.log(*statuses, **more)

    return log


def jwks_is_another(world: World) -> None:
    world.sign()
    world.settings |= {"jwks_url": "http://127.0.0.1:9/jwks.json"}


def key_is_pinned_otherwise(world: World) -> None:
    jwks_is_another(world)
    world.settings |= {"signing_key_ids": ("another",)}


def key_is_gone(world: World) -> None:
    world.settings |= {"signing_secrets": (OTHER_KEY,)}
    made = world.sign("HS256")
    world.save()
    del world.instance.keys[made.id]


def expires(world: World) -> None:
    world.settings |= {"signing_secrets": (OTHER_KEY,)}
    world.sign("HS256", expirationInstant=NOW + 5 * DAY_MS)


def two_tenants(world: World) -> None:
    world.tenant("None", OTHER_TENANT)
    world.hook |= {"global": False, "tenantIds": [TENANT_ID]}


def handler_of_other_tenant(world: World) -> None:
    two_tenants(world)
    on("user.create", name="theirs", tenant=OTHER_TENANT)(ignore)


def outvoted(world: World) -> None:
    transactional(world)
    world.tenant("Any")
    with_other_webhook(world)


def want_entities_of_an_old_version(world: World) -> None:
    on("entity.create", name="entities")(ignore)
    world.instance.version = Version("1.60.0")
