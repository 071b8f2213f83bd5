"""The dashboard is shown under its own name and after a login, and its answers say what a browser may do with them."""

import logging

import pytest
import redis
from starlette.testclient import TestClient

from surehook.dashboard.app import create_dashboard
from surehook.dashboard.logins import Logins
from surehook.shared.log import TextFormatter
from surehook.shared.settings import Settings
from tests.integration.test_dashboard_requests import OURS
from tests.support.dashboard import client_of, rq_client, site_client

RQ = ("/rq/", "/rq/0/view/workers", "/rq/0/view/jobs", "/rq/0/data/queues.json", "/rq/static/css/main.css")
PATHS = ("/", "/events", "/events/none", "/static/style.css", "/static/none", "/static/", "/nothing", "/rq", *RQ)
NOTHING = ("/rq/0/view/job/none", "/rq/nothing", "/rq/1/view/queues", "/rq/0/view/jobs/events/none/8/asc/1")
ALSO = (*PATHS, *NOTHING, "/rq/requeue/events")
OTHER_HOSTS = (
    "evil.example",
    "evil.example:9181",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost@evil.example",
    "127.0.0.1:9181:1@evil.example",
    "evil.example, localhost",
    "10.0.0.1",
    "[::2]",
    "[",
)
LOGIN = ("operator", "a-password")
URL = "https://ops.example:8443/tools/surehook"


@pytest.fixture
def with_login(settings: Settings) -> Settings:
    return Settings(data_dir=settings.data_dir, dashboard_login=":".join(LOGIN))


@pytest.fixture
def behind_proxy(settings: Settings) -> TestClient:
    return site_client(Settings(data_dir=settings.data_dir, dashboard_login=":".join(LOGIN), dashboard_url=URL))


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_without_a_login_other_names_are_refused(host: str, settings: Settings) -> None:
    client = site_client(settings)

    for path in ALSO:
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code in {400, 403}, path
        assert host not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9181", "127.0.0.1:9181", "[::1]:9181"])
def test_names_of_loopback_are_accepted(host: str, settings: Settings) -> None:
    assert site_client(settings).get("/", headers={"Host": host}).status_code == 200


def test_every_response_says_what_a_browser_may_do_with_it(settings: Settings, with_login: Settings) -> None:
    shown = site_client(settings)
    refused = site_client(with_login)
    asked = [[shown.get(path), shown.post(path), refused.get(path)] for path in ALSO]

    for answer in [answer for answers in asked for answer in answers]:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_each_response_has_its_own_nonce(settings: Settings) -> None:
    client = rq_client(settings)

    answers = [client.get("/") for _ in range(5)]

    policies = {answer.headers["Content-Security-Policy"] for answer in answers}
    assert len(policies) == 5
    for answer in answers:
        nonce = answer.headers["Content-Security-Policy"].partition("'nonce-")[2].partition("'")[0]
        assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"')


def test_wrong_logins_are_slowed_down_and_the_right_one_still_passes(with_login: Settings) -> None:
    now = [0.0]
    app = create_dashboard(with_login, Logins(clock=lambda: now[0], sleep=lambda _: None))
    guesses = [client_of(app).get("/", auth=("operator", f"guess {number}")) for number in range(50)]

    assert [guess.status_code for guess in guesses].count(401) <= 12
    refused = guesses[-1]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 5
    now[0] += int(refused.headers["Retry-After"])
    assert client_of(app).get("/", auth=LOGIN).status_code == 200


def test_a_browser_that_logged_in_does_not_wait_for_guesses(with_login: Settings) -> None:
    app = create_dashboard(with_login, Logins(clock=lambda: 0.0, sleep=lambda _: None))  # time stands still
    operator, guesser = client_of(app), client_of(app)
    assert operator.get("/", auth=LOGIN).status_code == 200

    while guesser.get("/", auth=("operator", "a guess")).status_code == 401:
        pass

    assert guesser.get("/", auth=LOGIN).status_code == 429
    assert operator.get("/", auth=LOGIN).status_code == 200
    assert operator.get("/", auth=("operator", "a guess")).status_code == 429
    assert operator.get("/").status_code == 401, "the cookie alone opens nothing"


def test_the_cookie_of_the_login_that_may_look_does_not_help_to_guess_the_other(settings: Settings) -> None:
    reader = ("reader", "another-password")
    logins = {"dashboard_login": ":".join(LOGIN), "dashboard_reader": ":".join(reader)}
    app = create_dashboard(
        Settings.model_validate({"data_dir": settings.data_dir, **logins}),
        Logins(clock=lambda: 0.0, sleep=lambda _: None),  # time stands still
    )
    client = client_of(app)
    assert client.get("/", auth=reader).status_code == 200

    answers = {client.get("/", auth=("operator", f"guess {number}")).status_code for number in range(30)}

    assert answers == {401, 429}
    assert client.get("/", auth=LOGIN).status_code == 429, "the right guess is as unseen as the wrong ones"
    assert client.get("/", auth=reader).status_code == 200


def test_the_cookie_is_for_this_site_alone(with_login: Settings, behind_proxy: TestClient) -> None:
    plain = site_client(with_login).get("/", auth=LOGIN).headers["Set-Cookie"]
    proxied = behind_proxy.get("/", auth=LOGIN).headers["Set-Cookie"]

    assert "HttpOnly" in plain
    assert "SameSite=Strict" in plain
    assert "Secure" in proxied
    assert "Path=/tools/surehook/" in proxied


@pytest.mark.parametrize("before", ["", "/tools/surehook"], ids=["cut off by the proxy", "sent by the proxy"])
def test_behind_a_proxy_every_link_has_its_path(before: str, behind_proxy: TestClient) -> None:
    client = behind_proxy

    page = client.get(f"{before}/rq/0/view/jobs", auth=LOGIN)
    redirect = client.get(f"{before}/rq/0", auth=LOGIN)
    own = client.get(f"{before}/events", auth=LOGIN)

    assert page.status_code == 200
    assert 'src="/tools/surehook/rq/static/js/jquery' in page.text
    assert 'href="/tools/surehook/rq/0/view/workers"' in page.text
    assert 'var url = "/tools/surehook/rq/";' in page.text
    assert redirect.headers["Location"] == "/tools/surehook/rq/0/"
    assert 'href="/tools/surehook/static/style.css"' in own.text
    assert 'action="/tools/surehook/find"' in own.text
    for style in ("/rq/static/css/main.css", "/static/style.css"):
        assert client.get(f"{before}{style}", auth=LOGIN).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:9181", "ops.example:8443", "ops.example"])
def test_behind_a_proxy_its_pages_may_requeue(host: str, behind_proxy: TestClient) -> None:
    headers = {**OURS, "Host": host, "Origin": "https://ops.example:8443"}
    client = behind_proxy

    assert client.post("/rq/job/none/requeue", headers=headers, auth=LOGIN).status_code == 200
    assert client.post(
        "/rq/job/none/requeue", headers={**headers, "Origin": "https://ops.example"}, auth=LOGIN
    ).status_code == (200 if host == "ops.example" else 403)


def test_a_path_writes_no_lines_into_the_log(
    settings: Settings, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client = site_client(settings)
    store.set("rq:job:x\n12:00:00Z  ERROR forged", "no hash")

    with caplog.at_level(logging.DEBUG):
        for path in (
            "/rq/0/view/job/x%0A12:00:00Z%20%20ERROR%20forged",
            "/x%0D%0Aforged",
            "/rq/0/data/jobs/a%0Aforged/b/c/d/e.json",
        ):
            assert client.get(path).status_code in {404, 422, 500}

    records = [record for record in caplog.records if record.name != "httpx"]  # the test's own client
    lines = "\n".join(TextFormatter().format(record) for record in records)
    assert "forged" not in lines
    assert len(lines.splitlines()) == len(records)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("unix://{path}?password={word}", id="query"),
        pytest.param("unix://:{word}@{path}", id="userinfo"),
        pytest.param("unix://default:{word}@{path}?db=0", id="user and password"),
    ],
)
def test_no_page_contains_the_stores_password(form: str, settings: Settings, store: redis.Redis) -> None:
    word = "the-secret-word"
    store.config_set("requirepass", word)
    path = store.connection_pool.connection_kwargs["path"]
    try:
        locked = Settings(redis_url=form.format(path=path, word=word), data_dir=settings.data_dir)
        client = site_client(locked)
        said = []
        for page in ALSO:
            answer = client.get(page)
            said.append(answer.content.decode("latin-1") + str(answer.headers))
        assert client.get("/").status_code == 200
    finally:
        store.config_set("requirepass", "")

    assert all(word not in text for text in said)


def test_a_number_in_a_path_is_bounded(settings: Settings) -> None:
    client = rq_client(settings)

    for numbers in (
        "1001/asc/1",
        "0/asc/1",
        "-1/asc/1",
        "8/asc/0",
        "8/asc/-1",
        f"{'9' * 5000}/asc/1",
        "8/up/1",
        "x/asc/1",
    ):
        assert client.get(f"/0/data/jobs/events/failed/{numbers}.json").status_code == 404
