"""rq-dashboard on Surehook's store: with a login, without deleting, requeueing by Surehook's own script."""

import hmac
import logging
import signal
import threading
from urllib.parse import urlsplit

import redis
from flask import Flask, Response, jsonify, request
from pydantic import SecretStr
from rq.serializers import JSONSerializer
from rq_dashboard import default_settings
from rq_dashboard.web import blueprint
from rq_dashboard.web import config as dashboard_config
from werkzeug.serving import BaseWSGIServer, make_server

from surehook.admin.dead_letters import DeadLetters
from surehook.shared.auth_settings import LOOPBACK
from surehook.shared.errors import Misconfigured
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings, host_and_port
from surehook.shared.store import connect, store_address, wait_for_store

log = logging.getLogger(__name__)

STORE_TIMEOUT_SECONDS = 10.0
READING = ("GET", "HEAD", "OPTIONS")
# The only changes allowed here. Deleting and emptying lose events, and so does RQ's compacting when it is killed;
# `surehook dead-letters discard` closes an event. Changes that an upgrade adds are refused, too.
REQUEUE, REQUEUE_ALL = "rq_dashboard.requeue_job_view", "rq_dashboard.requeue_all"


def serve_dashboard(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Misconfigured: the address is taken.
        StoreUnavailable: there is no store to show.
    """
    wait_for_store(settings)
    host, port = host_and_port(settings.dashboard_bind)
    try:
        server = make_server(host, port, create_dashboard(settings), threaded=True)
    except (OSError, SystemExit) as exc:
        raise Misconfigured(f"SUREHOOK_DASHBOARD_BIND={settings.dashboard_bind}: the address is taken") from exc
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(server))
    log.info("dashboard listening", extra={"address": settings.dashboard_bind})
    server.serve_forever()


def create_dashboard(settings: Settings) -> Flask:
    # Under its name, so that /static is its folder: its pages load their scripts from there.
    app = Flask("rq_dashboard")
    app.config.from_object(default_settings)
    # Shown on every page.
    app.config["RQ_DASHBOARD_REDIS_URL"] = (str(store_address(settings)),)
    # Takes the buttons off its pages.
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    dashboard_config.serializer = JSONSerializer
    app.redis_conn = connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS)  # type: ignore[attr-defined]
    login = settings.dashboard_login
    if login is not None:
        app.before_request(lambda: _require_login(login))
    app.before_request(lambda: _check_change(has_login=login is not None))
    app.register_blueprint(blueprint, url_prefix="")
    app.before_request_funcs.pop("rq_dashboard")  # it would connect anew, by the address that pages show
    letters = DeadLetters(
        connect(settings, timeout_seconds=STORE_TIMEOUT_SECONDS),
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )
    app.view_functions[REQUEUE] = lambda job_id: _requeued(letters.replay_job(job_id))
    app.view_functions[REQUEUE_ALL] = lambda queue_name: _requeued(letters.replay_queue(queue_name))
    app.register_error_handler(redis.RedisError, _store_unavailable)
    return app


def _require_login(login: SecretStr) -> Response | None:
    given = request.authorization
    credentials = f"{given.username}:{given.password}" if given and given.type == "basic" else ""
    if hmac.compare_digest(credentials.encode(), login.get_secret_value().encode()):
        return None
    return Response("Log in\n", 401, {"WWW-Authenticate": 'Basic realm="Surehook"'})


def _check_change(*, has_login: bool) -> tuple[Response, int] | None:
    if request.endpoint == REQUEUE_ALL and request.method in READING:
        return jsonify(status="ERROR", message="requeue by POST"), 405
    if request.endpoint is None or request.method in READING:
        return None
    if request.endpoint not in {REQUEUE, REQUEUE_ALL}:
        return jsonify(status="DISABLED"), 403
    if not _is_from_our_pages(has_login=has_login):
        return jsonify(status="ERROR", message="only from the dashboard's own pages"), 403
    return None


def _is_from_our_pages(*, has_login: bool) -> bool:
    """Decides whether a page of this dashboard sent the request: a browser adds the login for other sites' pages, too.

    jQuery sets X-Requested-With on its posts; another site's page would need permission by CORS, which is never given.
    """
    if request.headers.get("X-Requested-With") != "XMLHttpRequest":
        return False
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return False
    # DNS rebinding: a foreign name that resolves to 127.0.0.1 makes a foreign page look like one of ours.
    return has_login or urlsplit(f"//{request.host}").hostname in LOOPBACK


def _requeued(count: int) -> Response:
    log.info("dead letters requeued in the dashboard", extra={"count": count})
    return jsonify(status="OK" if count else "GONE", count=count)


def _store_unavailable(exc: Exception) -> tuple[Response, int]:
    log.warning("store unavailable", extra={"error_type": type(exc).__name__})
    return jsonify(status="ERROR", message="the store does not answer"), 503


def _stop(server: BaseWSGIServer) -> None:
    # shutdown() waits for serve_forever(), which this signal handler interrupts.
    threading.Thread(target=server.shutdown, daemon=True).start()
