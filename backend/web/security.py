"""Limit who may call, and under which name (basic_auth.py, hosts.py), and then what is read of the body (body.py).

Label Studio's token is never read, so it cannot be lost here.
"""

from __future__ import annotations

from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.basic_auth import OPEN, refuse
from backend.errors import BackendError, NotJsonError, TooSlowError, WrongHostError
from backend.settings import Settings
from backend.web.body import BodyReader, MemoryBudget, too_large, whole_body
from backend.web.error_handlers import error_response
from backend.web.hosts import own_names, which_host
from backend.web.wrong_passwords import WrongPasswords

READING: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: own host names and basic auth, as the settings ask for; JSON only; a body within its limits."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._max_bytes = settings.max_body_mb * 2**20
        self._names = own_names(settings)
        self._budget, self._wrong = MemoryBudget(), WrongPasswords()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            await self._check(scope, headers)
        except BackendError as error:
            await error_response(error)(scope, receive, send)
            return
        if scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        reader = BodyReader(receive, self._max_bytes, self._budget)
        try:
            try:
                body = await reader.read()
            except BackendError as error:
                await error_response(error, close=isinstance(error, TooSlowError))(scope, receive, send)
                return
            if body is not None:
                await self._app(scope, whole_body(body, receive), send)
        finally:
            await self._budget.give_back(reader.taken)

    async def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise what a request's header alone says against it."""
        if (refusal := refuse(self._settings, scope["path"], headers.get("authorization", ""))) is not None:
            if "authorization" in headers:
                await anyio.sleep(self._wrong.delay_s((scope.get("client") or ("",))[0]))
            raise refusal
        self._check_host(scope, headers)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or len(length) > 18 or int(length) > self._max_bytes:
            raise too_large(self._max_bytes)
        # A browser sends the password it knows with requests of other sites' pages, too. It lets them send forms and
        # text to wherever they like, but for JSON it first asks the server whether they may, and we never say yes.
        if scope["method"] not in READING and not _is_json(headers.get("content-type", "")):
            raise NotJsonError("Requests that change something have to be JSON; send Content-Type: application/json.")

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        """A page whose host's name is made to lead here is our own page to a browser; a password it does not know."""
        if self._settings.basic_auth_user is not None or scope["path"] in OPEN:
            return
        host = which_host(headers.get("host", ""))
        if host is None or host in self._names or host.endswith(".localhost"):
            return
        raise WrongHostError(
            f"{host[:100]!r} is not known as a name of this server; add it to BOXSTRAP_ALLOWED_HOSTS, or set "
            "BASIC_AUTH_USER and BASIC_AUTH_PASS."
        )


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
