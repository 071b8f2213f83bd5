"""A request that arrives in one piece skips ASGI. Its answer is the same."""

import re
from collections.abc import Iterator

import pytest

from harness.events import a_body, an_event
from harness.stack import API_KEY, Stack
from tests.support.raw_http import a_request, connect

LIMIT = 4096
MUCH = b"x" * (LIMIT + 1)
BODY = a_body(an_event(id="0b5d2f0e-3c0c-4a55-9b0e-6f6f5f3a9d11"))
WRONG_ID = a_body(an_event(id="17"))
DATE = re.compile(rb"date: [^\r]+\r\n")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
    stack.environ["SUREHOOK_MAX_BODY_BYTES"] = str(LIMIT)
    stack.environ["SUREHOOK_MAX_BACKLOG"] = "1"
    stack.environ["SUREHOOK_SPOOL_DIR"] = "off"  # a full backlog would be spooled
    stack.start_ingest()
    yield stack
    stack.close()


@pytest.fixture(autouse=True)
def _empty(stack: Stack) -> None:
    with stack.redis() as store:
        store.flushall()


def sized(body: bytes, *headers: str, authorization: str | None = API_KEY, method: str = "POST") -> bytes:
    return a_request(*headers, f"Content-Length: {len(body)}", body=body, authorization=authorization, method=method)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def ask(stack: Stack, sent: bytes, cut_at: int | None) -> bytes:
    """The answer, but for its date."""
    with connect(stack.port) as connection:
        if cut_at is not None:
            connection.sendall(sent[:cut_at])
            assert stack.is_ready()  # by now the endpoint has read the first part
            sent = sent[cut_at:]
        connection.sendall(sent)
        answer = b""
        while received := connection.recv(65536):
            answer += received
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
    assert DATE.search(answer)
    return DATE.sub(b"", answer)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(sized(BODY), 202, id="an event"),
        pytest.param(sized(BODY, "Connection: close"), 202, id="the last on its connection"),
        pytest.param(sized(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), 202, id="an old protocol"),
        pytest.param(sized(BODY, authorization=None), 401, id="no proof"),
        pytest.param(sized(BODY, authorization="wrong"), 401, id="a wrong one"),
        pytest.param(sized(BODY, f"Authorization: {API_KEY}"), 401, id="two"),
        pytest.param(sized(b"", authorization=None), 401, id="neither proof nor body"),
        pytest.param(sized(b""), 400, id="no body"),
        pytest.param(sized(b"[" * 1000), 400, id="no JSON"),
        pytest.param(sized(WRONG_ID), 400, id="no id"),
        pytest.param(sized(MUCH), 413, id="too large"),
        pytest.param(sized(BODY, "Content-Encoding: gzip"), 415, id="compressed"),
        pytest.param(sized(BODY).replace(b"application/json", b"text/plain"), 415, id="another type"),
        pytest.param(sized(BODY).replace(b"-webhook ", b"-webhook/ "), 202, id="a slash at the end"),
        pytest.param(sized(BODY).replace(b" /fusion", b" //fusion"), 404, id="a slash too many"),
        pytest.param(sized(BODY, method="PUT"), 405, id="another method"),
        pytest.param(sized(BODY).replace(b"/fusionauth-webhook", b"/elsewhere"), 404, id="another path"),
        pytest.param(a_request("Transfer-Encoding: chunked", body=chunk(BODY)), 202, id="a chunk"),
        pytest.param(a_request("Transfer-Encoding: chunked", body=chunk(MUCH)), 413, id="a chunk too large"),
    ],
)
def test_the_answer_is_the_same_however_a_request_is_cut(stack: Stack, sent: bytes, status: int) -> None:
    whole = ask(stack, sent, None)
    head = sent.index(b"\r\n\r\n") + 4
    in_pieces = []
    for place in (10, head - 1, head, len(sent) - 1):
        with stack.redis() as store:
            store.flushall()
        in_pieces.append(ask(stack, sent, place))

    assert whole.startswith(b"HTTP/1.1 %d " % status)
    assert set(in_pieces) == {whole}


def test_a_duplicate_and_a_full_backlog_are_answered_alike(stack: Stack) -> None:
    assert ask(stack, sized(BODY), None).startswith(b"HTTP/1.1 202 ")
    another = sized(a_body())

    for sent, status in ((sized(BODY), 200), (another, 503)):
        whole = ask(stack, sent, None)
        assert whole.startswith(b"HTTP/1.1 %d " % status)
        assert ask(stack, sent, len(sent) - 1) == whole
