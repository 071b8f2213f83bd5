"""Imports the user's handler modules and checks that they agree with the settings."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from surehook.shared.errors import Misconfigured
from surehook.shared.event_types import EVENT_TYPES
from surehook.shared.transactional_events import TransactionalTypes
from surehook.workers.handlers import hooks, resources
from surehook.workers.handlers.options import location_of
from surehook.workers.handlers.registry import Handler, Registry, declared
from surehook.workers.handlers.resources import Injection

SETTING = "SUREHOOK_TRANSACTIONAL_EVENTS"


def load_handlers(modules: Sequence[str], folder: Path) -> Registry:
    """Imports the modules, which may be in `folder`, and returns the handlers that they declared with `@on`.

    Raises:
        Misconfigured: nothing to import, a module that does not import, or handlers with wrong options.
    """
    if not modules:
        raise Misconfigured(
            "SUREHOOK_HANDLERS is not set: name the modules with your @on functions, as in "
            "SUREHOOK_HANDLERS=myapp.hooks"
        )
    # First, as with `python -m`: a user's `tests` must win over an installed package of that name.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for module in modules:
        _import(module)
    registry = Registry(declared)
    if not len(registry):
        raise Misconfigured(f"SUREHOOK_HANDLERS={','.join(modules)}: no handler is registered there with @on(…)")
    check_injection(registry)
    return registry


def check_injection(registry: Registry) -> None:
    """Checks that there is a resource for every parameter that wants one.

    Raises:
        Misconfigured: there is none, or resources need each other in a circle.
    """
    injection = Injection(resources.declared)
    injection.in_order()
    for handler in registry:
        injection.sources(handler.function, handler.parameters.extras, location_of(handler.function))
    for around in hooks.declared_arounds:
        injection.sources(around.function, around.parameters.extras, around.location)
    for hook in hooks.declared_letter_hooks:
        injection.sources(hook.function, hook.parameters.extras, hook.location)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Misconfigured:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and (module == exc.name or module.startswith(exc.name + ".")):
            raise Misconfigured(
                f"SUREHOOK_HANDLERS: there is no module {exc.name} here. It is looked for in the current folder "
                f"({Path.cwd()}) and among the installed packages"
            ) from exc
        raise Misconfigured(_sentence(module, exc)) from exc
    except (Exception, SystemExit) as exc:  # a user's module may raise anything at import
        raise Misconfigured(_sentence(module, exc)) from exc


def _sentence(module: str, exc: BaseException) -> str:
    if isinstance(exc, SyntaxError):  # its message has the file and line
        return f"SUREHOOK_HANDLERS: {module} does not import: SyntaxError: {exc}"
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return f"SUREHOOK_HANDLERS: {module} does not import: {type(exc).__name__}: {exc} ({frame.filename}:{frame.lineno})"


def require_agreement(registry: Registry, types: TransactionalTypes) -> None:
    """Checks that transactional handlers and SUREHOOK_TRANSACTIONAL_EVENTS name the same types.

    Raises:
        Misconfigured: a transactional handler never runs, or a listed type has no transactional handler.
    """
    mistakes = [sentence for handler in registry for sentence in _unlisted(handler, types)]
    for tenant_id, event_type in sorted(types.entries):
        if not any(_decides(handler, event_type, tenant_id) for handler in registry):
            listed = f"{tenant_id}:{event_type}" if tenant_id else event_type
            mistakes.append(
                f"{SETTING} lists {listed}, but no transactional handler matches it: write "
                f'@on("{event_type}", transactional=True), or take it off the list'
            )
    if mistakes:
        raise Misconfigured("\n".join(mistakes))


def _decides(handler: Handler, event_type: str, tenant_id: str) -> bool:
    """Ignores the application: FusionAuth has the transaction setting per tenant."""
    if not handler.is_transactional or (tenant_id and handler.tenant_id not in (None, tenant_id)):
        return False
    return handler.matches_type(event_type)


def _unlisted(handler: Handler, types: TransactionalTypes) -> list[str]:
    """Each type given by name has to be listed; for a pattern, one listed type is enough."""
    if not handler.is_transactional:
        return []
    listed = {event_type for tenant, event_type in types.entries if not tenant or handler.tenant_id in (None, tenant)}
    named = [event_type for event_type in handler.types if event_type in EVENT_TYPES and event_type not in listed]
    sentences = [
        f"handler {handler.name} is transactional for {event_type}, but {SETTING} does not list it, so "
        f"FusionAuth does not wait for it: add {event_type} there for ingest and workers alike, or drop "
        "transactional=True"
        for event_type in named
    ]
    if not named and not any(handler.matches_type(event_type) for event_type in listed):
        sentences.append(
            f"handler {handler.name} is transactional for {', '.join(handler.types)}, but {SETTING} lists none of "
            "them: add those that are to wait for it, or drop transactional=True"
        )
    return sentences
