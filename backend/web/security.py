"""Limit who may call (basic_auth.py decides), and how much they may send.

Label Studio's token is never read, so it cannot be lost here.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.basic_auth import refuse
from backend.errors import BackendError, NotJsonError, TooLargeError
from backend.settings import Settings
from backend.web.error_handlers import error_response

READING: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: basic auth, where the settings ask for it; JSON only; the limit on a request's body."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._most = settings.max_body_mb * 2**20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope, Headers(scope=scope))
        if problem is not None:
            await error_response(problem)(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                # FastAPI makes a 400 of every other kind of exception while it reads the body.
                raise HTTPException(TooLargeError.status, str(self._too_large()))
            return message

        await self._app(scope, limited, send)

    def _problem(self, scope: Scope, headers: Headers) -> BackendError | None:
        refusal = refuse(self._settings, scope["path"], headers.get("authorization", ""))
        if refusal is not None:
            return refusal
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or len(length) > 18 or int(length) > self._most:
            return self._too_large()
        # A browser sends the password it knows with requests of other sites' pages, too. It lets them send forms and
        # text to wherever they like, but for JSON it first asks the server whether they may, and we never say yes.
        if scope["method"] not in READING and not _is_json(headers.get("content-type", "")):
            return NotJsonError("Requests that change something have to be JSON; send Content-Type: application/json.")
        return None

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"The request is larger than {self._most // 2**20} MB; set MAX_BODY_MB, or send less.")


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
