import json
import logging
import sys

from surehook.shared.log import JsonFormatter, TextFormatter

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
