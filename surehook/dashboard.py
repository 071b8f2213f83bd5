"""rq-dashboard, reading JSON jobs, with a login where others could reach it, and with its deleting switched off."""

import hmac
import logging
import signal
import threading

from flask import Flask, Response, request
from pydantic import SecretStr
from rq.serializers import JSONSerializer
from rq_dashboard import default_settings
from rq_dashboard.web import blueprint, setup_rq_connection
from rq_dashboard.web import config as dashboard_config
from werkzeug.serving import BaseWSGIServer, make_server

from shared.errors import Misconfigured
from shared.settings import Settings, host_and_port
from shared.store import store_url, wait_for_store

log = logging.getLogger(__name__)


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
    log.info("dashboard listens", extra={"address": settings.dashboard_bind})
    server.serve_forever()


def create_dashboard(settings: Settings) -> Flask:
    # Under its name, so that /static is its folder: its pages load their scripts from there.
    app = Flask("rq_dashboard")
    app.config.from_object(default_settings)
    app.config["RQ_DASHBOARD_REDIS_URL"] = store_url(settings)
    # Deleting a job there would lose its event on purpose; `surehook dead-letters discard` closes it.
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    dashboard_config.serializer = JSONSerializer
    setup_rq_connection(app)
    login = settings.dashboard_login
    if login is not None:
        app.before_request(lambda: _refuse_strangers(login))
    app.register_blueprint(blueprint, url_prefix="")
    return app


def _refuse_strangers(login: SecretStr) -> Response | None:
    given = request.authorization
    credentials = f"{given.username}:{given.password}" if given and given.type == "basic" else ""
    if hmac.compare_digest(credentials.encode(), login.get_secret_value().encode()):
        return None
    return Response("Log in\n", 401, {"WWW-Authenticate": 'Basic realm="Surehook"'})


def _stop(server: BaseWSGIServer) -> None:
    # shutdown() waits for serve_forever(), which this signal handler interrupts.
    threading.Thread(target=server.shutdown, daemon=True).start()
