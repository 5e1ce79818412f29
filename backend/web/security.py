"""Who may call, and how much they may send. Label Studio's token is never read, so it cannot be lost here."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import BackendError, NotAllowedError, TooLargeError
from backend.settings import Settings
from backend.web.answers import error_response

OPEN: Final = ("/health",)  # says nothing, and containers ask it without a password


class Guard:
    """ASGI middleware: basic auth, where the settings ask for it, and the limit on a request's body."""

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
        headers = Headers(scope=scope)
        problem = self._problem(scope["path"], headers)
        if problem is not None:
            await error_response(problem)(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _problem(self, path: str, headers: Headers) -> BackendError | None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return self._too_large()
        if self._wanted is None or path in OPEN or _matches(headers.get("authorization", ""), self._wanted):
            return None
        return NotAllowedError("Name or password are missing or wrong; give those of BASIC_AUTH_USER and _PASS.")

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"The request is larger than {self._most // 2**20} MB; set MAX_BODY_MB, or send less.")


def _matches(header: str, wanted: bytes) -> bool:
    """In a time that does not depend on where they differ."""
    kind, _, value = header.partition(" ")
    try:
        given = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, wanted)
