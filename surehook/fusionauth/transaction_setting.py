"""Decides whether an operation commits under a tenant's transaction setting, as FusionAuth documents it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import httpx

# FusionAuth sends again, without a pause, to webhooks that failed although the setting was met.
MOST_RESENDS = 3
SETTINGS = ("None", "Any", "SimpleMajority", "SuperMajority", "AbsoluteMajority")


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """One response of one webhook."""

    webhook: str
    text: str
    is_success: bool
    resend: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of FusionAuth, with the responses of its webhooks."""

    setting: str
    webhooks: int
    successes: int
    responses: tuple[WebhookResponse, ...]

    @property
    def commits(self) -> bool:
        return self.successes >= needed(self.setting, self.webhooks)

    @property
    def sentence(self) -> str:
        if self.setting == "None":
            return "The operation commits: under None FusionAuth ignores the responses of webhooks, refusals too."
        required = needed(self.setting, self.webhooks)
        count = f"{self.successes} of {self.webhooks} succeeded and {self.setting} needs {required}"
        if self.commits:
            return f"The operation commits: {count}."
        return (
            f"The operation is rolled back: {count}. FusionAuth does not send again, and its client gets 504 "
            "[WebhookTransactionException] without the handler's message."
        )


def needed(setting: str, webhooks: int) -> int:
    """Returns how many of the webhooks have to answer 2xx."""
    return {
        "None": 0,
        "Any": 1,
        "SimpleMajority": ceil(webhooks / 2),
        "SuperMajority": ceil(2 * webhooks / 3),
        "AbsoluteMajority": webhooks,
    }[setting]


def run_operation(setting: str, webhooks: Sequence[str], post: Callable[[str], httpx.Response]) -> Operation:
    """Sends to every webhook; if the operation commits, sends again to webhooks that failed."""
    responses = [_send(webhook, post) for webhook in webhooks]
    successes = sum(each.is_success for each in responses)
    operation = Operation(setting, len(webhooks), successes, tuple(responses))
    if setting == "None" or not operation.commits:
        return operation
    failed = [each.webhook for each in responses if not each.is_success]
    for number in range(1, MOST_RESENDS + 1):
        again = [_send(webhook, post, number) for webhook in failed]
        responses += again
        failed = [each.webhook for each in again if not each.is_success]
    return Operation(setting, len(webhooks), successes, tuple(responses))


def _send(webhook: str, post: Callable[[str], httpx.Response], resend: int = 0) -> WebhookResponse:
    try:
        response = post(webhook)
    except httpx.TimeoutException:
        return WebhookResponse(webhook, "no answer in time", is_success=False, resend=resend)
    except httpx.TransportError as exc:
        return WebhookResponse(webhook, f"no answer ({type(exc).__name__})", is_success=False, resend=resend)
    return WebhookResponse(webhook, f"{response.status_code} {response.text}", response.is_success, resend)
