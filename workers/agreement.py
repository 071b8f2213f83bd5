"""Whether the handlers and SUREHOOK_TRANSACTIONAL_EVENTS mean the same events."""

from shared.catalogue import CATALOGUE
from shared.errors import Misconfigured
from shared.transactional import TransactionalTypes
from workers.registry import Handler, Registry

SETTING = "SUREHOOK_TRANSACTIONAL_EVENTS"


def refuse_disagreement(registry: Registry, types: TransactionalTypes) -> None:
    """
    Raises:
        Misconfigured: a transactional handler is never asked, or nobody is there to answer for a listed type.
    """
    mistakes = [sentence for handler in registry for sentence in _unasked(handler, types)]
    for tenant_id, event_type in sorted(types.entries):
        if not any(_answers(handler, event_type, tenant_id) for handler in registry):
            listed = f"{tenant_id}:{event_type}" if tenant_id else event_type
            mistakes.append(
                f"{SETTING} lists {listed}, but no handler answers for it: write "
                f'@on("{event_type}", transactional=True), or take it off the list'
            )
    if mistakes:
        raise Misconfigured("\n".join(mistakes))


def _answers(handler: Handler, event_type: str, tenant_id: str) -> bool:
    """Whatever the application: it is the tenant's setting that makes a transaction of an event."""
    if not handler.is_transactional or (tenant_id and handler.tenant_id not in (None, tenant_id)):
        return False
    return handler.takes(event_type)


def _unasked(handler: Handler, types: TransactionalTypes) -> list[str]:
    """Each type by its name has to be listed; of a pattern, one type is enough."""
    if not handler.is_transactional:
        return []
    asked = {event_type for tenant, event_type in types.entries if not tenant or handler.tenant_id in (None, tenant)}
    named = [event_type for event_type in handler.types if event_type in CATALOGUE and event_type not in asked]
    sentences = [
        f"handler {handler.name} is transactional for {event_type}, but {SETTING} does not list it, so nobody waits "
        f"for its answer: add {event_type} there for ingest and workers alike, or drop transactional=True"
        for event_type in named
    ]
    if not named and not any(handler.takes(event_type) for event_type in asked):
        sentences.append(
            f"handler {handler.name} is transactional for {', '.join(handler.types)}, but {SETTING} lists none of "
            "them: add those that shall wait for it, or drop transactional=True"
        )
    return sentences
