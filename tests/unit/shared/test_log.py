import json
import logging
import sys

from surehook.shared.log import JsonFormatter, TextFormatter
from surehook.shared.log_details import Details

TERMINAL_COLUMNS = 80


def a_record(message: str = "handler ran", **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "levelno": logging.INFO, "levelname": "INFO"})
    record.__dict__.update(extra)
    return record


def test_only_allowed_fields_are_written() -> None:
    line = json.loads(JsonFormatter().format(a_record(event_id="e", email="mara@example.com", args=())))

    assert line["event_id"] == "e"
    assert "mara" not in json.dumps(line)


def test_an_exception_is_logged_by_type_and_place_without_its_message() -> None:
    try:
        raise ValueError("mara@example.com")
    except ValueError:
        record = a_record(exc_info=sys.exc_info())

    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record)

        assert "ValueError at " in line
        assert "mara" not in line


def test_a_run_is_one_line_that_a_person_can_read() -> None:
    line = TextFormatter().format(
        a_record(
            event_type="user.delete",
            event_id="3f0c9a1b-0000-4000-8000-000000000000",
            handler="delete_todos",
            outcome="failed",
            elapsed_ms=12,
            attempt=2,
            error_type="OSError",
            delay_seconds=19.5,
        )
    )

    assert max(map(len, line.splitlines())) <= TERMINAL_COLUMNS
    words = line.split()[1:]
    assert words[:4] == ["user.delete", "3f0c9a1b", "delete_todos", "failed"]
    assert " ".join(words[4:]) == "12 ms attempt 2, again in 19.5 s OSError"


HOSTILE = "\x1b]52;c;aGk=\x07\x9b\u202e\r\x7f\nforged"


def test_text_from_outside_cannot_control_a_terminal_or_forge_a_line() -> None:
    run = dict.fromkeys(("event_type", "event_id", "handler", "outcome", "elapsed_ms", "error_type"), HOSTILE)
    records = [a_record(reason=HOSTILE, event_id=HOSTILE), a_record(HOSTILE), a_record(**run, attempt=2)]

    for line in [formatter.format(record) for record in records for formatter in (JsonFormatter(), TextFormatter())]:
        assert not set(HOSTILE[:-6]) & {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\x7f"} & set(line)
        assert "\nforged" not in line


WORKER = Details(runs_handlers=True)


def users_record(name: str = "myapp.hooks", **extra: object) -> logging.LogRecord:
    logger = logging.getLogger(name)
    try:
        raise ValueError("no account of mara")
    except ValueError:
        return logger.makeRecord(
            name, logging.ERROR, "hooks.py", 7, "failed for %s", ("mara",), sys.exc_info(), extra=extra
        )


def test_what_a_handler_logs_is_written_unharmed() -> None:
    line = json.loads(JsonFormatter(WORKER).format(users_record(order_id=5, items=["a"], at="noon", event_id="mine")))

    assert (line["message"], line["order_id"], line["items"], line["event_id"]) == ("failed for mara", 5, ["a"], "mine")
    assert line["extra_at"] == "noon"
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert line["traceback"].endswith("ValueError: no account of mara")
    text = TextFormatter(WORKER).format(users_record(order_id=5))
    assert "ERROR failed for mara  order_id=5" in text
    assert text.endswith("\n  ValueError: no account of mara")


def test_what_a_handler_logs_need_not_be_json() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise OSError

        __str__ = __repr__

    circle: list[object] = []
    circle.append(circle)

    line = json.loads(JsonFormatter(WORKER).format(users_record(odd=Odd(), circle=circle, kind={1, 2})))

    assert (line["odd"], line["circle"], line["kind"]) == ("(Odd)", "[[...]]", "{1, 2}")


def test_surehook_and_its_libraries_keep_to_the_allowed_fields_beside_handlers() -> None:
    for name in ("surehook.workers.queue.completion", "asyncio", "concurrent.futures", "redis.client"):
        for formatter in (JsonFormatter(WORKER), TextFormatter(WORKER)):
            line = formatter.format(users_record(name, email="ada@example.com", event_id="e1"))

            assert "ada@" not in line
            assert "account" not in line
            assert "e1" in line


def test_only_workers_of_dev_show_the_traceback_of_a_failed_run() -> None:
    record = a_record(name="surehook.workers", traceback="Traceback:\n  frame\nValueError: ***\n", event_id="e")
    shown = Details(runs_handlers=True, shows_tracebacks=True)

    assert TextFormatter(shown).format(record).endswith("\n  Traceback:\n    frame\n  ValueError: ***")
    assert json.loads(JsonFormatter(shown).format(record))["traceback"].endswith("***\n")
    for formatter in (TextFormatter(WORKER), JsonFormatter(WORKER), TextFormatter(), JsonFormatter()):
        assert "ValueError" not in formatter.format(record)
