"""Makes the store remember ids as it does when events are closed."""

from collections.abc import Sequence

import redis

from surehook.shared.keys import Keys
from surehook.shared.script_linker import linked
from surehook.shared.scripts import definitions

REMEMBER = "for _, id in ipairs(ARGV) do remember_id(id, pack_id(id)) end"
AT_ONCE = 1000


def remember(store: redis.Redis, event_ids: Sequence[str]) -> None:
    script = store.register_script(linked(REMEMBER, definitions(Keys())))
    for start in range(0, len(event_ids), AT_ONCE):
        script(args=event_ids[start : start + AT_ONCE])
