"""Who may call, and how much they may send. Label Studio's token is never read, so it cannot be lost here."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import BackendError, NotAllowedError, NotJsonError, TooLargeError
from backend.settings import Settings
from backend.web.answers import error_response

OPEN: Final = ("/health",)  # says nothing, and containers ask it without a password
READING: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: basic auth, where the settings ask for it; JSON only; the limit on a request's body."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.max_body_mb * 2**20
        self._wanted: bytes | None = None
        if settings.basic_auth_user is not None:
            self._wanted = f"{settings.basic_auth_user}:{settings.basic_auth_pass}".encode()

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
        allowed = self._wanted is None or _matches(headers.get("authorization", ""), self._wanted)
        if not allowed and scope["path"] not in OPEN:
            return NotAllowedError("Name or password are missing or wrong; give those of BASIC_AUTH_USER and _PASS.")
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


def _matches(header: str, wanted: bytes) -> bool:
    """In a time that does not depend on where they differ."""
    kind, _, value = header.partition(" ")
    try:
        given = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, wanted)
