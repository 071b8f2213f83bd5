"""What FusionAuth does with webhooks' answers under a tenant's transaction setting, after its documentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import httpx

# Webhooks that failed although the setting was met are sent to again, back to back.
MOST_RESENDS = 3
SETTINGS = ("None", "Any", "SimpleMajority", "SuperMajority", "AbsoluteMajority")


@dataclass(frozen=True, slots=True)
class Said:
    """What one webhook answered at one time of sending."""

    webhook: str
    text: str
    is_yes: bool
    resend: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    """How an operation ended, and every answer on the way."""

    setting: str
    webhooks: int
    yes: int
    said: tuple[Said, ...]

    @property
    def commits(self) -> bool:
        return self.yes >= needed(self.setting, self.webhooks)

    @property
    def sentence(self) -> str:
        if self.setting == "None":
            return "The operation commits: under None FusionAuth ignores what webhooks answer, a no as well."
        count = f"{self.yes} of {self.webhooks} said yes and {self.setting} needs {needed(self.setting, self.webhooks)}"
        if self.commits:
            return f"The operation commits: {count}."
        return (
            f"The operation is rolled back: {count}. FusionAuth sends no second time, and its caller gets 504 "
            "[WebhookTransactionException] without the handler's words."
        )


def needed(setting: str, webhooks: int) -> int:
    """How many of the webhooks have to answer 2xx."""
    return {
        "None": 0,
        "Any": 1,
        "SimpleMajority": ceil(webhooks / 2),
        "SuperMajority": ceil(2 * webhooks / 3),
        "AbsoluteMajority": webhooks,
    }[setting]


def hold(setting: str, webhooks: Sequence[str], post: Callable[[str], httpx.Response]) -> Vote:
    """Send to every webhook, count, and send again to the losers of a vote that was won."""
    said = [_ask(webhook, post) for webhook in webhooks]
    yes = sum(each.is_yes for each in said)
    vote = Vote(setting, len(webhooks), yes, tuple(said))
    if setting == "None" or not vote.commits:
        return vote
    losers = [each.webhook for each in said if not each.is_yes]
    for number in range(1, MOST_RESENDS + 1):
        again = [_ask(webhook, post, number) for webhook in losers]
        said += again
        losers = [each.webhook for each in again if not each.is_yes]
    return Vote(setting, len(webhooks), yes, tuple(said))


def _ask(webhook: str, post: Callable[[str], httpx.Response], resend: int = 0) -> Said:
    try:
        response = post(webhook)
    except httpx.TimeoutException:
        return Said(webhook, "no answer in time", is_yes=False, resend=resend)
    except httpx.TransportError as exc:
        return Said(webhook, f"no answer ({type(exc).__name__})", is_yes=False, resend=resend)
    return Said(webhook, f"{response.status_code} {response.text}", response.is_success, resend)
