"""A request, what came back, and what FusionAuth would make of it."""

from dataclasses import dataclass

from surehook.fusionauth.simulator.http_client import NO_STATUS, CallResponse
from surehook.shared.event_types import EVENT_TYPES

LONGEST_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Exchange:
    """`sent` names the request without any secret; `excerpt` is the beginning of the answer's body."""

    sent: str
    event_type: str
    event_id: str
    response: CallResponse
    seconds: float
    excerpt: str = ""

    @property
    def is_delivered(self) -> bool:
        """FusionAuth counts it as delivered, even where a redirect lost the event."""
        return self.response.is_success

    @property
    def is_accepted(self) -> bool:
        return self.is_delivered and not self.response.redirected_to

    @property
    def came_back(self) -> str:
        if self.response.status == NO_STATUS:
            return f"no answer: {self.response.exception}"
        where = f" after a redirect to {self.response.redirected_to}" if self.response.redirected_to else ""
        took = f"{self.response.status}{where} in {self.seconds * 1000:.0f} ms"
        return f"{took}: {self.excerpt}" if self.excerpt else took

    def fusionauth(self, *, is_genuine: bool) -> str:
        """Says what FusionAuth would have done; it never sends what is not genuine."""
        if not is_genuine and not self.is_delivered:
            return "never sends this, and a refusal costs no event"
        if self.is_accepted:
            return "counts it as delivered"
        if self.is_delivered:
            return "follows with a GET that carries no event, and counts it as delivered: the event is gone"
        how = "logs status -1" if self.response.status == NO_STATUS else "counts it as failed"
        known = EVENT_TYPES.get(self.event_type)
        if known is not None and known.is_transactional:
            return (
                f"{how}; under None it does not send again, and under a setting that needs this webhook it rolls the "
                "operation back and its caller gets 504"
            )
        return f"{how}, and does not send it again"
