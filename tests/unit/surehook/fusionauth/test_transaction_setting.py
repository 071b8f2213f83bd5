import httpx
import pytest

from surehook.fusionauth.transaction_setting import needed, run_operation


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
def test_how_many_webhooks_must_succeed(setting: str, counts: tuple[int, ...]) -> None:
    assert tuple(needed(setting, webhooks) for webhooks in (1, 2, 3, 4)) == counts


class Webhooks:
    """Webhooks with a fixed status each, "!" for a timeout; records what they get."""

    def __init__(self, *statuses: int | str) -> None:
        self.statuses = dict(zip("abc", statuses, strict=False))
        self.received: list[str] = []

    def post(self, webhook: str) -> httpx.Response:
        self.received.append(webhook)
        status = self.statuses[webhook]
        if not isinstance(status, int):
            raise httpx.ReadTimeout("")
        return httpx.Response(status, text="{}")


@pytest.mark.parametrize(
    ("setting", "statuses", "commits", "got"),
    [
        pytest.param("None", (422,), True, "a", id="None ignores a refusal and sends once"),
        pytest.param("AbsoluteMajority", (200,), True, "a", id="success"),
        pytest.param("AbsoluteMajority", (422,), False, "a", id="refusal"),
        pytest.param("AbsoluteMajority", ("!",), False, "a", id="a timeout is a refusal"),
        pytest.param(
            "Any",
            (200, 500),
            True,
            "abbbb",
            id="a webhook that fails although the operation commits is sent to three times more",
        ),
        pytest.param(
            "SuperMajority", (200, 500, 422), False, "abc", id="an operation that is rolled back sends no second time"
        ),
        pytest.param("SimpleMajority", (299, 202, 300), True, "abcccc", id="300 is a refusal"),
    ],
)
def test_an_operation_commits_when_enough_webhooks_succeed(
    setting: str, statuses: tuple[int | str, ...], commits: bool, got: str
) -> None:
    webhooks = Webhooks(*statuses)

    operation = run_operation(setting, "abc"[: len(statuses)], webhooks.post)

    assert (operation.commits, "".join(webhooks.received)) == (commits, got)
    assert operation.sentence.startswith("The operation commits" if commits else "The operation is rolled back")


def test_the_client_gets_504_without_the_message() -> None:
    assert "504 [WebhookTransactionException]" in run_operation("Any", "a", Webhooks(422).post).sentence
