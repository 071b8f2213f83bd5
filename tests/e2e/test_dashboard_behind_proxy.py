"""The dashboard behind nginx, which ends TLS and serves it under a path, with the lines of docs/dashboard.md."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from harness.certificates import write_certificate
from harness.stack import ROOT, Stack, free_port, wait_until
from tests.e2e.test_dashboard import HANDLERS, start_dashboard

pytestmark = pytest.mark.browser

LOGIN = ("operator", "a-password")
NGINX = """
daemon off; pid nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {location}
    }}
}}
"""


def documented_location(stack: Stack) -> str:
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/dashboard.md").read_text("utf-8"), re.DOTALL)
    assert found
    return found[1].replace("127.0.0.1:9181", f"127.0.0.1:{stack.dashboard_port}")


@pytest.fixture
def public_url(build_stack: Callable[..., Stack]) -> Iterator[tuple[Stack, str]]:
    stack, port = build_stack(HANDLERS), free_port()
    url = f"https://127.0.0.1:{port}/surehook"
    stack.start_ingest()
    stack.start_worker()
    start_dashboard(stack, SUREHOOK_DASHBOARD_LOGIN=":".join(LOGIN), SUREHOOK_DASHBOARD_URL=url)
    certificate, key = write_certificate(stack.folder)
    text = NGINX.format(port=port, certificate=certificate, key=key, location=documented_location(stack))
    (stack.folder / "nginx.conf").write_text(text)
    nginx = start_nginx(stack.folder)
    yield stack, url
    nginx.terminate()
    nginx.wait()


def start_nginx(folder: Path) -> "subprocess.Popen[bytes]":
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "no nginx on PATH: install it (Debian: apt-get install nginx)"
    return subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)


def test_pages_links_and_buttons_work_under_the_path(public_url: tuple[Stack, str], browser: Browser) -> None:
    stack, url = public_url
    stack.deliver()
    wait_until(lambda: "dead letter" in stack.logged())
    wait_until(lambda: is_served(url), "nginx serves the dashboard")
    context = browser.new_context(
        ignore_https_errors=True, http_credentials={"username": LOGIN[0], "password": LOGIN[1]}
    )
    page = context.new_page()

    page.goto(f"{url}/rq/")
    expect(page.locator("tr[data-role=queue]")).to_contain_text("events")
    page.get_by_role("link", name="Workers").click()
    expect(page.locator("#workers")).to_contain_text("events")
    page.goto(f"{url}/rq/0/view/jobs/events/failed/8/asc/1")
    page.locator(".job_id a").click()
    expect(page.locator(".exc_info")).to_contain_text("in fails_until_mended")
    (stack.folder / "mended").touch()
    page.get_by_role("button", name="Requeue").click()

    wait_until(lambda: stack.open_events() == 0, "the handler ran again")
    assert page.url.startswith(f"{url}/rq/0/view/job/")
    redirect = httpx.get(f"{url}/rq/0", auth=LOGIN, verify=False)  # noqa: S501
    assert redirect.headers["Location"] == "/surehook/rq/0/"
    context.close()


def is_served(url: str) -> bool:
    try:
        return httpx.get(f"{url}/", verify=False).status_code == 401  # noqa: S501
    except httpx.TransportError:
        return False
