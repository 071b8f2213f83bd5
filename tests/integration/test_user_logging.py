"""A user's module may configure logging in any way: our lines are written, and theirs are as they wanted them."""

import json
import subprocess
import sys
from typing import Any

import pytest

import surehook

# Without what `import surehook` loads, as these are many processes.
PACKAGE = f"""
import sys, types
sys.modules["surehook"] = types.ModuleType("surehook")
sys.modules["surehook"].__path__ = {surehook.__path__!r}
"""
BEGIN = (
    PACKAGE
    + """
import asyncio, io, logging, logging.config, threading, warnings
from surehook.shared.log import set_up_logging, withstand_configuration
ours = logging.getLogger("surehook.workers.queue.completion")
set_up_logging("INFO", "json")
theirs = io.StringIO()
"""
)
END = """
withstand_configuration()
ours.info("handler ran", extra={"event_id": "e1"})
ours.debug("too detailed")
logging.getLogger("myapp").warning("their line %s", 1)
sys.stdout.write(theirs.getvalue())
"""
DJANGO = """
logging.config.dictConfig({
    "version": 1,
    "formatters": {"verbose": {
        "format": "{levelname} {asctime} {module} {process:d} {thread:d} {lineno:d} {message}", "style": "{"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "stream": theirs, "formatter": "verbose"}},
    "root": {"handlers": ["own"], "level": "INFO"},
})
"""
TO_ROOT = "logging.root.addHandler(logging.StreamHandler(theirs))\n"
CONFIGURATIONS = {
    "Django's documented formatter, existing loggers disabled": DJANGO,
    "basicConfig": "logging.basicConfig(stream=theirs, format='%(process)d %(threadName)s %(message)s')",
    "everything disabled": TO_ROOT + "logging.getLogger('myapp').manager.disable = 25  # as logging.disable(25)",
    "the record factory raises": TO_ROOT
    + """
before = logging.getLogRecordFactory()
logging.setLogRecordFactory(lambda name, *a, **k: 1 / 0 if name.startswith("surehook") else before(name, *a, **k))
""",
    "a filter raises": TO_ROOT + "logging.getLogger('surehook').addFilter(lambda record: 1 / 0)",
    "a handler raises": TO_ROOT
    + """
class Raises(logging.Handler):
    def handle(self, record): 1 / 0
logging.getLogger("surehook").addHandler(Raises())
""",
    "our logger disabled": TO_ROOT + "logging.getLogger('surehook').disabled = True; ours.disabled = True",
    "our handlers removed": TO_ROOT + "logging.getLogger('surehook').handlers.clear()",
    "logging's errors hidden": TO_ROOT + "logging.raiseExceptions = False",
    "warnings captured": TO_ROOT + "logging.captureWarnings(True)",
}


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("code", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_both_sides_lines_are_written(code: str) -> None:
    ran = run(BEGIN + code + END)

    (line,) = lines_of(ran.stderr)
    assert (line["message"], line["event_id"]) == ("handler ran", "e1")
    assert "their line 1" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_without_a_configuration_their_lines_have_our_format() -> None:
    ran = run(BEGIN + END + "logging.getLogger('myapp').info('also this')")

    assert [line["message"] for line in lines_of(ran.stderr)] == ["handler ran", "their line 1", "also this"]


def test_a_configuration_made_at_run_time_has_the_same_effect() -> None:
    ran = run(BEGIN + END + DJANGO + END.replace("myapp", "another"))

    assert [line["message"] for line in lines_of(ran.stderr)] == ["handler ran", "their line 1", "handler ran"]
    assert "their line 1" in ran.stdout


def test_the_level_of_the_root_logger_is_theirs_once_they_configure_it() -> None:
    ran = run(
        BEGIN
        + "logging.basicConfig(stream=theirs)"
        + END
        + "sys.stdout.write(logging.getLevelName(logging.root.level))"
    )

    assert ran.stdout.endswith("WARNING")


def test_a_wrong_logging_call_is_reported_without_its_arguments() -> None:
    ran = run(BEGIN + "logging.getLogger('myapp').warning('%d', 'mara@example.com')")

    (line,) = lines_of(ran.stderr)
    assert (line["logger"], line["message"], line["reason"]) == ("myapp", "log record malformed", "<string>:11")


def test_nothing_of_the_process_is_switched() -> None:
    ran = run(
        PACKAGE + "import asyncio, httpx, logging, sys, threading, warnings\n"
        "def state(): return [logging.logThreads, logging.logProcesses, logging.logMultiprocessing, logging._srcfile,\n"
        "    logging.raiseExceptions, logging.getLogRecordFactory(), logging.getLoggerClass(), logging.root.handlers,\n"
        "    logging.root.manager.disable, warnings.filters[:], warnings.showwarning, sys.stdout, sys.stderr,\n"
        "    asyncio.get_event_loop_policy(),\n"
        "    *((each.level, each.disabled) for each in map(logging.getLogger, ('asyncio', 'httpx', 'rq.worker')))]\n"
        "before = state()\n"
        "from surehook.shared.log import set_up_logging\n"
        "set_up_logging('INFO', 'json')\n"
        "sys.exit(before != state())"
    )

    assert (ran.returncode, ran.stderr) == (0, "")


SECRET = "mara@example.com"
BACKGROUND = {
    "a task": "async def fail(): raise ValueError(SECRET)\n"
    "async def main():\n    task = asyncio.create_task(fail()); await asyncio.sleep(0); del task\n"
    "loop.call(timeout, main, inf, context)\n",
    "a callback": "def fail(): raise ValueError(SECRET)\n"
    "async def main(): asyncio.get_running_loop().call_soon(fail)\nloop.call(timeout, main, inf, context)\n",
    "a loop of their own": "async def fail(): raise ValueError(SECRET)\n"
    "async def main():\n    task = asyncio.create_task(fail()); await asyncio.sleep(0); del task\n"
    "asyncio.run(main())\n",
    "a thread": "def fail(): raise ValueError(SECRET)\n"
    "thread = threading.Thread(target=fail); thread.start(); thread.join()\n",
    "a __del__": "class It:\n    def __del__(self): raise ValueError(SECRET)\nIt()\n",
}


@pytest.mark.parametrize("code", BACKGROUND.values(), ids=BACKGROUND.keys())
def test_an_error_in_the_background_is_reported_by_type_and_place(code: str) -> None:
    ran = run(
        BEGIN + "from contextvars import Context\nfrom surehook.workers.execution.event_loop import EventLoop\n"
        "from surehook.workers.execution.timeouts import Timeout\n"
        f"loop, timeout, context, inf, SECRET = EventLoop(), Timeout(), Context(), float('inf'), {SECRET!r}\n"
        f"{code}import gc; gc.collect()\nasync def last(): pass\nloop.call(timeout, last, inf, context)"
    )

    (line,) = lines_of(ran.stderr)
    assert line["level"] == "ERROR"
    assert line["error"].startswith("ValueError at <string>:")
    assert SECRET not in ran.stderr + ran.stdout


def test_a_thread_that_exits_is_no_error() -> None:
    ran = run(BEGIN + "thread = threading.Thread(target=sys.exit); thread.start(); thread.join()")

    assert ran.stderr == ""
