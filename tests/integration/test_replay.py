from typing import Any
from uuid import uuid4

import pytest
import redis
from click.testing import CliRunner
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from harness.events import USER_ID
from surehook import Event, on
from surehook.admin.dead_letters import DeadLetters, Filter
from surehook.main import cli
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.stats import StatsReader
from tests.integration.conftest import Accept, Counts
from tests.support.ledger import ledger

REASON: dict[str, list[str]] = {"replay": [], "discard": ["--reason", "not needed"]}


@pytest.fixture
def die(accept: Accept, run_worker: Any, make_due: Any) -> Any:
    """Let a handler with one retry use it up."""

    @on("user.*", name="it", retries=1, backoff=[0])
    def fail(event: Event) -> None:
        raise OSError(f"no row for {event['user'].email}")

    def die(event_type: str = "user.delete", **fields: Any) -> str:
        event_id = accept(event_type, **fields)
        run_worker()
        make_due()
        run_worker()
        return event_id

    return die


@pytest.fixture
def surehook(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SUREHOOK_DATA_DIR", str(settings.data_dir))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, list(arguments), catch_exceptions=True)
        return result.exit_code, result.output

    return run


def test_a_replayed_event_gets_a_full_retry_budget(
    die: Any, dead_letters: DeadLetters, run_worker: Any, make_due: Any, counts: Counts
) -> None:
    die()
    (letter,) = dead_letters.matching(Filter())

    assert dead_letters.replay(letter)
    assert not dead_letters.replay(letter)
    run_worker()
    make_due()
    run_worker()

    assert [outcome for _, outcome in counts.runs] == ["failed", "dead letter"] * 2


def test_waits_retries_and_replays_are_counted(
    die: Any, dead_letters: DeadLetters, surehook: Any, run_worker: Any, counts: Counts, store: redis.Redis
) -> None:
    event_id = die()
    assert counts.retries == ["it"]
    [wait] = counts.waits
    assert 0 <= wait < 60

    (letter,) = dead_letters.matching(Filter())
    assert dead_letters.replay(letter)
    run_worker()
    assert StatsReader(store, Keys()).read().replayed == 1
    assert surehook("dead-letters", "replay", event_id)[0] != 0
    assert counts.waits == [wait], "a replay does not count as an event that has waited"
    assert counts.retries == ["it", "it"]


def test_a_replayed_event_that_was_done_is_counted_once(
    accept: Accept, run_worker: Any, surehook: Any, store: redis.Redis
) -> None:
    @on("user.*", name="it")
    def handle(_: Event) -> None:
        """Succeeds."""

    event_id = accept()
    run_worker()
    assert surehook("events", "replay", event_id)[0] == 0
    run_worker()
    assert StatsReader(store, Keys()).read().replayed == 1
    assert StatsReader(store, Keys()).read().imbalance == 0


def test_rqs_own_requeue_gives_a_full_budget_too(die: Any, store: redis.Redis, run_worker: Any, counts: Counts) -> None:
    event_id = die()

    FailedJobRegistry("events", connection=store, serializer=JSONSerializer).requeue(event_id)
    run_worker()

    assert [outcome for _, outcome in counts.runs] == ["failed", "dead letter", "failed"]
    job = Job.fetch(event_id, connection=store, serializer=JSONSerializer)
    assert job.args == [event_id]


def test_discard_closes_an_event_for_good(die: Any, dead_letters: DeadLetters, store: redis.Redis) -> None:
    die()
    (letter,) = dead_letters.matching(Filter())

    assert dead_letters.discard(letter)

    assert ledger(store) == {"open": 0, "accepted": 1, "discarded": 1}
    assert list(dead_letters.matching(Filter())) == []


def test_the_list_shows_what_died_and_why_without_personal_data(die: Any, surehook: Any) -> None:
    event_id = die()

    status, output = surehook("dead-letters", "list")

    assert status == 0
    assert event_id in output
    assert "user.delete  it  OSError: no row for ***" in output


def test_show_takes_the_first_characters_of_an_id(die: Any, surehook: Any) -> None:
    event_id = die()

    status, output = surehook("dead-letters", "show", event_id[:8])

    assert status == 0
    assert "attempt 1  failed" in output
    assert "attempt 2  dead letter" in output
    assert "in fail" in output
    assert "mara" not in output


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        pytest.param(["--type", "user.delete"], 1, id="type"),
        pytest.param(["--type", "user.update"], 0, id="other type"),
        pytest.param(["--handler", "it"], 2, id="handler"),
        pytest.param(["--user", USER_ID.upper()], 2, id="user"),
        pytest.param(["--user", "nobody"], 0, id="other user"),
        pytest.param(["--error", "NO ROW"], 2, id="error"),
        pytest.param(["--since", "2020-01-01", "--until", "2020-01-02"], 0, id="time"),
        pytest.param(["--since", "2020-01-01"], 2, id="since"),
        pytest.param(["--all"], 2, id="all"),
    ],
)
def test_a_bulk_verb_takes_filters(filters: list[str], count: int, die: Any, surehook: Any) -> None:
    die("user.delete")
    die("user.create")

    assert surehook("dead-letters", "replay", "--dry-run", *filters)[1].endswith(f"{count} would be replayed\n")
    assert surehook("dead-letters", "replay", *filters) == (0, f"{count} replayed\n")


@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize("filters", [["--type", "user.update"], ["--all"], ["--since", "2020-01-01"]])
def test_a_bulk_command_takes_ids_or_filters(
    verb: str, filters: list[str], die: Any, surehook: Any, store: redis.Redis
) -> None:
    status, output = surehook("dead-letters", verb, die(), *filters)

    assert status == 2
    assert "not both" in output
    assert store.zcard("rq:failed:events") == 1


def test_an_empty_id_is_no_dead_letters_beginning(die: Any, surehook: Any, store: redis.Redis) -> None:
    die()

    assert surehook("dead-letters", "discard", "")[0] != 0
    assert store.zcard("rq:failed:events") == 1


@pytest.mark.parametrize("bound", ["--since", "--until"])
def test_a_dead_letter_without_a_date_matches_no_time(bound: str, die: Any, surehook: Any, store: redis.Redis) -> None:
    store.hdel(f"rq:job:{die()}", "ended_at")

    assert surehook("dead-letters", "discard", "--reason", "old", bound, "2020-01-01") == (0, "0 discarded\n")


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_another_applications_failed_jobs_are_left_alone(
    verb: str, die: Any, surehook: Any, store: redis.Redis
) -> None:
    die()
    foreign = Queue("reports", connection=store).create_job("reports.build", job_id=str(uuid4()))
    foreign.save()
    FailedJobRegistry("reports", connection=store).add(foreign, ttl=-1)
    store.sadd("rq:queues", "rq:queue:reports")

    assert surehook("dead-letters", verb, *REASON[verb], "--all")[1] in ("1 replayed\n", "1 discarded\n")
    assert surehook("dead-letters", verb, *REASON[verb], foreign.id)[0] != 0
    assert foreign.id in FailedJobRegistry("reports", connection=store)
    assert ledger(store)["accepted"] == 1


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_bulk_command_needs_ids_a_filter_or_all(verb: str, die: Any, surehook: Any, store: redis.Redis) -> None:
    die()

    status, output = surehook("dead-letters", verb)

    assert status == 2
    assert "--all" in output
    assert store.zcard("rq:failed:events") == 1
