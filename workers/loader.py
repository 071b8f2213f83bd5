"""Import the user's modules, or say in a sentence why that cannot be."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from shared.errors import Misconfigured
from workers.registry import Registry, declared

OUR_PACKAGES = ("ingest", "shared", "surehook", "workers")


def load_handlers(modules: Sequence[str], folder: Path) -> Registry:
    """Import the modules, which may lie in `folder`, and collect what they declared with `@on`.

    Raises:
        Misconfigured: nothing to import, a module that does not import, or handlers that cannot be.
    """
    if not modules:
        raise Misconfigured(
            "SUREHOOK_HANDLERS is not set: name the modules with your @on functions, as in "
            "SUREHOOK_HANDLERS=myapp.hooks"
        )
    _refuse_packages_like_ours(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    for module in modules:
        _import(module)
    registry = Registry(declared)
    if not len(registry):
        raise Misconfigured(f"SUREHOOK_HANDLERS={','.join(modules)}: no function there has an @on(…)")
    return registry


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
    except Exception as exc:  # whatever a user's module does at import
        raise Misconfigured(_sentence(module, exc)) from exc


def _sentence(module: str, exc: Exception) -> str:
    if isinstance(exc, SyntaxError):  # its message names the place itself
        return f"SUREHOOK_HANDLERS: {module} does not import: SyntaxError: {exc}"
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return f"SUREHOOK_HANDLERS: {module} does not import: {type(exc).__name__}: {exc} ({frame.filename}:{frame.lineno})"


def _refuse_packages_like_ours(folder: Path) -> None:
    ours = Path(__file__).resolve().parents[1]
    if folder.resolve() == ours:
        return
    for name in OUR_PACKAGES:
        if (folder / f"{name}.py").exists() or any((folder / name).glob("*.py")):
            raise Misconfigured(
                f"{folder / name} has the name of a package of Surehook's, which would be imported in its place: "
                "rename it, or start Surehook in another folder"
            )
