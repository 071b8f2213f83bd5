import httpx
import pytest

from surehook.fusionauth.vote import needed, run_vote


@pytest.mark.parametrize(
    ("setting", "counts"),
    [
        ("None", (0, 0, 0, 0)),
        ("Any", (1, 1, 1, 1)),
        ("SimpleMajority", (1, 1, 2, 2)),
        ("SuperMajority", (1, 2, 2, 3)),
        ("AbsoluteMajority", (1, 2, 3, 4)),
    ],
)
def test_how_many_must_say_yes(setting: str, counts: tuple[int, ...]) -> None:
    assert tuple(needed(setting, webhooks) for webhooks in (1, 2, 3, 4)) == counts


class Webhooks:
    """Webhooks that answer as they are told, "!" for none at all; counts what they get."""

    def __init__(self, *statuses: int | str) -> None:
        self.statuses = dict(zip("abc", statuses, strict=False))
        self.got: list[str] = []

    def post(self, webhook: str) -> httpx.Response:
        self.got.append(webhook)
        status = self.statuses[webhook]
        if not isinstance(status, int):
            raise httpx.ReadTimeout("")
        return httpx.Response(status, text="{}")


@pytest.mark.parametrize(
    ("setting", "statuses", "commits", "got"),
    [
        pytest.param("None", (422,), True, "a", id="None ignores a no and sends once"),
        pytest.param("AbsoluteMajority", (200,), True, "a", id="success"),
        pytest.param("AbsoluteMajority", (422,), False, "a", id="refusal"),
        pytest.param("AbsoluteMajority", ("!",), False, "a", id="a timeout is a refusal"),
        pytest.param("Any", (200, 500), True, "abbbb", id="the loser of a won vote is sent to three times more"),
        pytest.param("SuperMajority", (200, 500, 422), False, "abc", id="a lost vote is lost immediately"),
        pytest.param("SimpleMajority", (299, 202, 300), True, "abcccc", id="300 is a refusal"),
    ],
)
def test_the_vote(setting: str, statuses: tuple[int | str, ...], commits: bool, got: str) -> None:
    webhooks = Webhooks(*statuses)

    vote = run_vote(setting, "abc"[: len(statuses)], webhooks.post)

    assert (vote.commits, "".join(webhooks.got)) == (commits, got)
    assert vote.sentence.startswith("The operation commits" if commits else "The operation is rolled back")


def test_the_client_gets_504_without_the_message() -> None:
    assert "504 [WebhookTransactionException]" in run_vote("Any", "a", Webhooks(422).post).sentence
