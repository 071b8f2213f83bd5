"""nginx and HAProxy in front of the endpoint, as processes of the test; both are Debian packages."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.stack import Stack, free_port, wait_until
from tests.support.raw_http import connect

PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"
NGINX = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 20m;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream endpoints {{
        server 127.0.0.1:{endpoint};
        server 127.0.0.1:{endpoint};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://endpoints;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
            proxy_read_timeout 5s;
        }}
    }}
}}
"""
HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 5s
frontend clients
    bind 127.0.0.1:{port}
    default_backend endpoints
backend endpoints
    server endpoint 127.0.0.1:{endpoint}
"""
NAMES = ("nginx", "nginx without buffering", "haproxy")


def program(name: str) -> str:
    found = shutil.which(name, path=PLACES)
    assert found, f"{name} is missing: install it (Debian: apt-get install --no-install-recommends {name})"
    return found


@contextmanager
def proxy_before(stack: Stack, name: str) -> Iterator[int]:
    """Runs the proxy, one of `NAMES`; yields its port."""
    port = free_port()
    folder = stack.folder / name.replace(" ", "-")
    folder.mkdir()
    command = _haproxy(folder, stack, port) if name == "haproxy" else _nginx(folder, stack, port, name)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stack.log, stderr=stack.log)
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), f"{name} listens")
        assert process.poll() is None, stack.logged()[-2000:]
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _nginx(folder: Path, stack: Stack, port: int, name: str) -> list[str]:
    user = pwd.getpwuid(os.getuid()).pw_name
    configuration = NGINX.format(
        folder=folder,
        endpoint=stack.port,
        port=port,
        buffering="on" if name == "nginx" else "off",
        user=f"user {user};" if os.getuid() == 0 else "",  # otherwise it warns that it cannot change its user
    )
    (folder / "nginx.conf").write_text(configuration)
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _haproxy(folder: Path, stack: Stack, port: int) -> list[str]:
    (folder / "haproxy.cfg").write_text(HAPROXY.format(endpoint=stack.port, port=port))
    return [program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


def _listens(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return False
    return True
