"""rq-dashboard on Surehook's store: without deleting, requeueing by Surehook's own script."""

import logging
import re
from typing import Any

import redis
from flask import Flask, Response, jsonify, request
from rq_dashboard import default_settings
from rq_dashboard.web import blueprint
from werkzeug.exceptions import HTTPException

from surehook.admin.bulk_actions import DONE_WORDS, REPLAY
from surehook.admin.dead_letters import DeadLetters
from surehook.dashboard.act_log import log_act
from surehook.dashboard.guard import SAFE_METHODS
from surehook.dashboard.rq_jobs import NoSuchJob, Unreadable, read_without_pickle
from surehook.dashboard.rq_templates import serve_safe_pages
from surehook.dashboard.store_failures import explain_failure
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings
from surehook.shared.store_name import store_address

log = logging.getLogger(__name__)

RQ_PATH = "/rq"
# The only changes allowed here. Deleting and emptying lose events, and so does RQ's compacting when it is killed;
# `surehook dead-letters discard` closes an event. Changes that an upgrade adds are refused, too.
REQUEUE, REQUEUE_ALL = "rq_dashboard.requeue_job_view", "rq_dashboard.requeue_all"
JOB_PAGE, JOB_DATA = "rq_dashboard.job_view", "rq_dashboard.job_info"
REGISTRIES = {"queued", "scheduled", "deferred", "started", "finished", "failed", "canceled"}
ORDERS = {"asc", "dsc"}
JOB_ID = re.compile(r"[a-zA-Z0-9_-]+")  # RQ takes no other
MOST_ON_PAGE = 1000
LAST_PAGE = 1_000_000


class RQDashboard(Flask):
    """Flask under a path, with errors logged by type and place."""

    def __init__(self, path: str) -> None:
        # Under its name, so that /static and its templates are in its folder.
        super().__init__("rq_dashboard")
        self._path = path

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Puts the path before every link. The path of `DASHBOARD_URL` is cut off already."""
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(RQ_PATH)
        environ["SCRIPT_NAME"] = self._path
        return super().wsgi_app(environ, start_response)

    def log_exception(self, exc_info: Any) -> None:
        """Flask's line quotes the path."""
        log.error("dashboard page failed", exc_info=exc_info)


def create_rq_dashboard(settings: Settings, store: Any, path: str) -> Flask:
    """`path`: that of `DASHBOARD_URL`."""
    app = RQDashboard(f"{path}{RQ_PATH}")
    app.config.from_object(default_settings)
    # Shown on every page.
    app.config["RQ_DASHBOARD_REDIS_URL"] = (str(store_address(settings)),)
    # Takes the buttons off its pages.
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.redis_conn = store  # type: ignore[attr-defined] # where rq-dashboard looks for it
    read_without_pickle()
    app.before_request(_check_change)
    app.before_request(_check_parts)
    app.register_blueprint(blueprint, url_prefix="")
    app.before_request_funcs.pop("rq_dashboard")  # it connects to the store anew for each request
    serve_safe_pages(app)
    app.after_request(_keep_host)
    _replace_views(app, store, settings)
    app.register_error_handler(Exception, _explain)
    return app


def _replace_views(app: Flask, store: redis.Redis, settings: Settings) -> None:
    letters = DeadLetters(
        store,
        Keys(settings.key_prefix),
        retention_seconds=settings.retention,
        handler_timeout=settings.handler_timeout,
    )

    def requeue(job_id: str) -> Response:
        return (
            _not_ours()
            if letters.is_foreign(job_id)
            else _requeued(letters.replay_job(job_id, who=request.remote_user or ""), job_id=job_id)
        )

    def requeue_all(queue_name: str) -> Response:
        return (
            _requeued(letters.replay_queue(queue_name, who=request.remote_user or ""), queue=queue_name)
            if queue_name in letters.queues()
            else _not_ours()
        )

    show_job, read_job = app.view_functions[JOB_PAGE], app.view_functions[JOB_DATA]

    def job_page(**parts: Any) -> Any:
        read_job(**parts)  # its script shows nothing if this fails
        return show_job(**parts)

    app.view_functions |= {REQUEUE: requeue, REQUEUE_ALL: requeue_all, JOB_PAGE: job_page}


def _check_change() -> Response | None:
    if request.endpoint == REQUEUE_ALL and request.method in SAFE_METHODS:
        return sentence(405, "Requeue by POST.")
    # jQuery sets it on its posts; another site's page would need permission by CORS, which is never given.
    if request.method not in SAFE_METHODS and request.headers.get("X-Requested-With") != "XMLHttpRequest":
        return sentence(403, "Only the dashboard's own pages may do this.")
    if request.endpoint is None or request.method in SAFE_METHODS or request.endpoint in {REQUEUE, REQUEUE_ALL}:
        return None
    return sentence(403, "The dashboard deletes nothing: use `surehook dead-letters discard`.")


def _check_parts() -> Response | None:
    """Checks the parts of a path, which rq-dashboard takes as they are."""
    parts = request.view_args or {}
    if request.endpoint in {JOB_PAGE, JOB_DATA} and not JOB_ID.fullmatch(parts["job_id"]):
        return sentence(404, "There is no such job (any more).")
    if not _is_number(parts.get("per_page", 1), MOST_ON_PAGE):
        return sentence(404, f"A page shows 1 to {MOST_ON_PAGE} jobs.")
    is_known = parts.get("registry_name", "failed") in REGISTRIES and parts.get("order", "asc") in ORDERS
    if is_known and _is_number(parts.get("page", 1), LAST_PAGE) and not parts.get("instance_number"):
        return None
    return sentence(404, "There is no such page.")


def _is_number(given: str | int, most: int) -> bool:
    text = str(given)
    return text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most


def _requeued(count: int, **target: str) -> Response:
    if count:
        log_act(request.remote_user or "", DONE_WORDS[REPLAY], count=count, **target)
    return jsonify(status="OK" if count else "GONE", count=count)


def _not_ours() -> Response:
    return sentence(403, "This is another application's: only Surehook's own events are requeued here.")


def _explain(exc: Exception) -> Any:
    """Says in a sentence why a page cannot be shown, and logs the error's type and place."""
    if isinstance(exc, HTTPException):
        return exc
    if isinstance(exc, NoSuchJob):
        return sentence(404, "There is no such job (any more).")
    if isinstance(exc, redis.RedisError):
        return sentence(*explain_failure(exc))
    log.warning("dashboard page failed", exc_info=exc)
    if isinstance(exc, Unreadable):
        return sentence(422, "This job cannot be shown: RQ cannot read what the store has of it.")
    return sentence(500, "This page cannot be shown: the log of the dashboard has the error's type and place.")


def _keep_host(response: Response) -> Response:
    """Takes scheme and name from a redirect: a proxy may have changed them."""
    if response.location and response.location.startswith(request.host_url):
        response.location = "/" + response.location.removeprefix(request.host_url)
    return response


def sentence(status: int, text: str) -> Response:
    """Answers with plain text, which no browser takes for a page."""
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")
