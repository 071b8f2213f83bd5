"""`surehook connect` may be killed at any point: the next run does the rest, and what was done can be undone."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from harness.stack import Stack, wait_until
from surehook.fusionauth.sample_parts import TENANT_ID
from surehook.fusionauth.simulator.instance import Instance
from surehook.fusionauth.simulator.server import ApiServer
from tests.support.simulated_fusionauth import GLOBAL_KEY

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

HANDLERS = "@on('user.create')\ndef welcome(event):\n    pass\n"
CHANGES = ("add_key", "save_webhook", "save_tenant", "configure")


class Halting(Instance):
    """Makes a change and then answers nothing until the test goes on, if it is to halt there."""

    halts_after = ""

    def halt(self) -> None:
        self.halted, self.goes_on = threading.Event(), threading.Event()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CHANGES or name != self.halts_after:
            return found

        def change_and_wait(*arguments: Any, **more: Any) -> Any:
            result = found(*arguments, **more)
            self.halted.set()
            self.goes_on.wait(60)
            return result

        return change_and_wait


def test_a_run_that_is_killed_after_any_change_is_completed_by_the_next(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(HANDLERS)
    env = stack.folder / ".env"
    for number, change in enumerate(CHANGES):
        instance = Halting()
        instance.add_api_key(GLOBAL_KEY)
        instance.configure({"webhookEventLogConfiguration": {"enabled": False}})
        instance.save_tenant({"name": "Orchard", "eventConfiguration": {"events": {}}}, TENANT_ID)
        env.unlink(missing_ok=True)
        with ApiServer(instance) as api:
            asked = {"SUREHOOK_FUSIONAUTH_URL": api.url, "SUREHOOK_FUSIONAUTH_API_KEY": GLOBAL_KEY}
            instance.halt()
            instance.halts_after = change
            shown = len(stack.logged())
            killed = stack.surehook("connect", "--yes", **asked)
            wait_until(instance.halted.is_set, change)
            killed.kill()
            killed.wait()
            assert not env.exists(), (
                change
            )  # an endpoint that starts now verifies nothing that FusionAuth does not sign
            instance.halts_after = ""
            instance.goes_on.set()

            completed = stack.run("connect", "--yes", **asked)
            assert completed.returncode == 0, (change, completed.stderr)
            is_last = change == CHANGES[-1]
            assert not is_last or "Nothing to do" in stack.run("connect", "--dry-run", **asked).stdout

        assert stack.logged()[shown:].count("done; to undo it:") == number, change
        assert (len(instance.webhooks), len(instance.keys), instance.is_logging) == (1, 1, True), change
        (hook,) = instance.webhooks.values()
        assert instance.receivers("user.create", TENANT_ID) == [hook], change
        assert env.read_text().count("SUREHOOK_JWKS_URL=") == 1, change
