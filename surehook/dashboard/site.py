"""Turns a request into one of our pages: the parts that all of them share."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import redis
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from surehook.admin.audit import Audit
from surehook.dashboard.act_log import log_act
from surehook.dashboard.bulk_runner import BulkRunner
from surehook.dashboard.doctor import Doctor
from surehook.dashboard.guard import SAFE_METHODS, USER, User
from surehook.dashboard.history import History
from surehook.dashboard.rendering import build_templates
from surehook.dashboard.store_failures import explain_failure
from surehook.dashboard.tokens import Tokens
from surehook.shared.errors import NotFound, StoreUnavailable, SurehookError
from surehook.shared.keys import Keys
from surehook.shared.settings import Settings

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 1100
TOKEN = "token"  # noqa: S105 - a field's name
STALE = "This page was open for too long, or the login was changed: reload it, and try again."


class Refused(Exception):
    """A request that cannot be answered with a page of data; the text says why and what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a user."""

    user: User
    parts: Mapping[str, str]
    """The variable parts of the path."""
    query: ImmutableMultiDict[str, str]
    form: ImmutableMultiDict[str, str] = field(default_factory=ImmutableMultiDict[str, str])

    @property
    def who(self) -> str:
        return self.user.who


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: its template and the template's values."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class GoTo:
    """Another page of ours, which shows the result of a POST, or what was searched for."""

    path: str


View = Callable[["Site", Visit], Shown | GoTo]


class Site:
    """The store and the templates, and what is true for every page."""

    def __init__(
        self,
        settings: Settings,
        store: redis.Redis,
        path: str,
        tokens: Tokens,
        clock: Callable[[], float] = time.time,
        runner: BulkRunner | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.keys = Keys(settings.key_prefix)
        self.path = path
        """That of `DASHBOARD_URL`, before every link."""
        self.clock = clock
        self.runner = runner
        self.doctor = Doctor(clock)
        self.history = History(store, self.keys, clock)
        self._templates = build_templates(clock)
        self._tokens = tokens

    def token(self, user: User) -> str:
        """The token of a user's forms."""
        return self._tokens.form(user.name, self.clock())

    def audit(self, visit: Visit, action: str, *, event_id: str = "", queue: str = "", reason: str = "") -> None:
        """Writes who does what to the audit and the log. It is called before the act, so that none goes without."""
        Audit(self.store, self.keys).write(visit.who, action, target=event_id or queue, reason=reason)
        log_act(visit.who, action, event_id=event_id, queue=queue, reason=reason)

    def render(self, shown: Shown, user: User, here: str) -> Response:
        template = self._templates.get_template(shown.template)
        values = {"base": self.path, "user": user, "token": self.token(user), "here": here, **shown.values}
        return HTMLResponse(template.render(values), shown.status)

    async def not_found(self, request: Request, _: Exception) -> Response:
        return self.refusal(request, Refused(404, "There is no such page."))

    async def not_allowed(self, request: Request, _: Exception) -> Response:
        return self.refusal(request, Refused(405, "This address takes the forms of a page: it cannot be opened."))

    def refusal(self, request: Request, refused: Refused) -> Response:
        values = {"text": str(refused), "status": refused.status}
        return self.render(Shown("refused.html", values, refused.status), request.scope[USER], "")

    async def respond(self, page: "Page", request: Request) -> Response:
        try:
            form = await _read_form(request)
            return await run_in_threadpool(self._answer, page, request, form)
        except Refused as exc:
            return self.refusal(request, exc)
        except (redis.RedisError, StoreUnavailable) as exc:
            return self.refusal(request, Refused(*explain_failure(exc)))
        except SurehookError as exc:
            return self.refusal(request, Refused(404 if isinstance(exc, NotFound) else 409, str(exc)))
        except Exception as exc:
            log.warning("dashboard page failed", exc_info=exc)
            text = "This page cannot be shown: the log of the dashboard has the error's type and place."
            return self.refusal(request, Refused(500, text))

    def _answer(self, page: "Page", request: Request, form: ImmutableMultiDict[str, str]) -> Response:
        user: User = request.scope[USER]
        if page.acts:
            self._require_own_form(user, form)
        done = page.view(self, Visit(user, request.path_params, request.query_params, form))
        if isinstance(done, GoTo):
            return RedirectResponse(f"{self.path}{done.path}", 303)
        return self.render(done, user, request.url.path)

    def _require_own_form(self, user: User, form: ImmutableMultiDict[str, str]) -> None:
        if not user.may_act:
            raise Refused(403, "This login may look, but change nothing.")
        if not self._tokens.is_form(user.name, form.get(TOKEN, ""), self.clock()):
            raise Refused(403, STALE)


@dataclass(frozen=True, slots=True)
class Page:
    """An address of the site.

    One with `acts` changes something, takes only POST, and only from who may act. One with `finds` takes only POST.
    """

    address: str
    view: View
    acts: bool = False
    finds: bool = False

    def route(self, site: Site) -> Route:
        async def respond(request: Request) -> Response:
            return await site.respond(self, request)

        return Route(self.address, respond, methods=["POST"] if self.acts or self.finds else ["GET"])


async def _read_form(request: Request) -> ImmutableMultiDict[str, str]:
    if request.method in SAFE_METHODS:
        return ImmutableMultiDict()
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                raise Refused(413, "This form is too large: select fewer at once, or use a filter.")
    except ClientDisconnect:
        raise Refused(400, "This form did not arrive whole.") from None
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Refused(400, "This form cannot be read: reload the page, and try again.") from None
    return ImmutableMultiDict(fields)
