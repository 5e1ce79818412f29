"""HTTP basic authentication with the settings' name and password, for `boxstrap serve` and label-studio-ml's server."""

from __future__ import annotations

import base64
import hmac
from typing import Final

from backend.errors import NotAllowedError
from backend.settings import Settings

OPEN: Final = ("/health",)  # tells nothing, and health checks of containers have no password


def refuse(settings: Settings, path: str, authorization: str) -> NotAllowedError | None:
    """The answer to a call of `path` with this Authorization header; None where it may go on."""
    if settings.basic_auth_user is None or path in OPEN:
        return None
    if _matches(authorization, f"{settings.basic_auth_user}:{settings.basic_auth_pass}".encode()):
        return None
    return NotAllowedError("Name or password are missing or wrong; give those of BASIC_AUTH_USER and _PASS.")


def _matches(authorization: str, wanted: bytes) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    kind, _, value = authorization.partition(" ")
    try:
        given = base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, wanted)
