"""Bodies: their text, their free-form parts and their size."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from surehook.fusionauth.conformance.case import EVENTS, ISSUES, WEBHOOKS, Cases
from surehook.fusionauth.conformance.exchange import Exchange
from surehook.fusionauth.conformance.probe import Probe

CASES = Cases()
# Many frameworks refuse bodies of more than 100 KB unless they are told otherwise.
FRAMEWORK_LIMIT = 150_000
SMALL_IMPORT = 1_000


def _named(probe: Probe, **fields: Any) -> dict[str, Any]:
    event = probe.event("user.update.complete")
    return event | {"user": event["user"] | fields}


@CASES.accepts("bodies.scripts", "Names come in every script, as UTF-8 without escapes.", "§1, §16", WEBHOOKS)
def scripts(probe: Probe) -> Sequence[Exchange]:
    names = ("Ångström", "Анна", "עדי", "محمد", "ประภา", "王小明", "Zoe\u0308", "ﬁne")
    return [probe.send(_named(probe, firstName=name), f"name {number}") for number, name in enumerate(names, 1)]


@CASES.accepts("bodies.four-bytes", "Text has characters of four bytes in UTF-8.", "§1", WEBHOOKS)
def four_bytes(probe: Probe) -> Sequence[Exchange]:
    fields = {"firstName": "🦊", "lastName": "𠮷田", "data": {"👩‍👩‍👧‍👦": ["🏳️‍🌈", "🜚"]}}
    return [probe.send(_named(probe, **fields), "with emoji")]


@CASES.accepts("bodies.escapes", "Control characters arrive escaped, the null character too.", "§1", EVENTS)
def escapes(probe: Probe) -> Sequence[Exchange]:
    fields = {"data": {"note": 'quote " back\\slash tab\t line\n bell\x07 null\x00 separator\u2028'}}
    return [probe.send(_named(probe, **fields), "with escapes")]


@CASES.accepts("bodies.free-data", "An application puts any JSON into user.data.", "§6", EVENTS)
def free_data(probe: Probe) -> Sequence[Exchange]:
    nested: Any = "bottom"
    for _ in range(40):
        nested = {"down": [nested]}
    data = {"": "empty name", "big": 2**63, "tiny": 1e-300, "nested": nested, "a.b$c[0]": True, "__proto__": {"x": 1}}
    return [probe.send(_named(probe, data=data), "with free-form data")]


@CASES.accepts(
    "bodies.nulls", "A body edited on the Test page may have nulls.", "§6, §11", f"{WEBHOOKS}#test-a-webhook"
)
def nulls(probe: Probe) -> Sequence[Exchange]:
    event = _named(probe, email=None, data=None) | {"info": None, "linkedObjectId": None}
    return [probe.send(event, "with nulls", body=json.dumps({"event": event}).encode())]


@CASES.accepts(
    "bodies.spacing",
    "A body edited on the Test page has line breaks and another order of keys.",
    "§11",
    f"{WEBHOOKS}#test-a-webhook",
)
def spacing(probe: Probe) -> Sequence[Exchange]:
    event = dict(reversed(probe.event().items()))
    return [probe.send(event, "indented", body=json.dumps({"event": event}, indent=3).encode())]


@CASES.accepts("bodies.150-kb", "A user's data exceeds what frameworks take by default.", "§16", EVENTS)
def above_framework_limit(probe: Probe) -> Sequence[Exchange]:
    return [probe.send(_named(probe, data={"avatar": "A" * FRAMEWORK_LIMIT}), "of 150 KB")]


@CASES.accepts("bodies.import-1000", "An import sends all its users in one event.", "§7, §16", f"{ISSUES}1238")
def small_import(probe: Probe) -> Sequence[Exchange]:
    return [_import(probe, SMALL_IMPORT)]


@CASES.accepts(
    "bodies.largest-import",
    "Imports may be large: FusionAuth recommends up to 100,000 users a request, about 64 MiB.",
    "§16",
    f"{EVENTS}user/user-bulk-create",
)
def largest_import(probe: Probe) -> Sequence[Exchange]:
    return [_import(probe, probe.largest_import)]


def _import(probe: Probe, count: int) -> Exchange:
    event = probe.event("user.bulk.create")
    user = event["users"][0]
    users = [user | {"id": str(uuid4()), "email": f"made-up-{number}@example.com"} for number in range(count)]
    return probe.send(event | {"users": users}, f"of {count:,} users")
