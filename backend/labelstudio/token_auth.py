"""Sign requests to Label Studio with the user's token, of either kind.

A legacy token goes into the header as it is. A personal access token is a JWT that only buys access tokens, which are
valid for minutes: Label Studio answers 401 to the personal one itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Generator
from typing import Any

import httpx

from backend.errors import LabelStudioError

REFRESH_PATH = "api/token/refresh/"


class TokenAuth(httpx.Auth):
    """The Authorization header of each request; may be used by several threads."""

    def __init__(self, http: httpx.Client, base_url: str, token: str) -> None:
        """Take the user's token. Access tokens are asked for over `http`, when one is needed.

        Raises: LabelStudioError where the token has expired.
        """
        self._http, self._refresh_url, self._token = http, f"{base_url}/{REFRESH_PATH}", token
        self._access, self._access_expires = "", 0.0
        self._lock = threading.Lock()
        self._is_personal = (claims := _claims(token)) is not None
        if claims is not None and (expires := _expiry(claims)) <= time.time():
            what = "has expired" if expires else "does not have an expiration set, and is not valid"
            raise LabelStudioError(
                f"LABEL_STUDIO_API_KEY cannot be used: API key {what}. Please obtain a new refresh token."
            )

    def header(self) -> str:
        """What a request sent now carries.

        Raises: httpx.HTTPError or LabelStudioError where a new access token is needed and Label Studio gives none.
        """
        if not self._is_personal:
            return f"Token {self._token}"
        with self._lock:  # threads that need a new one ask once
            if self._access_expires <= time.time():
                self._access = self._exchanged()
                self._access_expires = _expiry(_claims(self._access) or {})
            return f"Bearer {self._access}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header to a request."""
        request.headers["Authorization"] = self.header()
        yield request

    def _exchanged(self) -> str:
        """A new access token."""
        unsigned = httpx.Auth()
        response = self._http.post(self._refresh_url, json={"refresh": self._token}, auth=unsigned).raise_for_status()
        try:
            return str(response.json()["access"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise LabelStudioError(
                f"{self._refresh_url} answered no access token; is LABEL_STUDIO_URL a Label Studio?"
            ) from error


def _claims(token: str) -> dict[str, Any] | None:
    """What a JWT says, unverified: that is for the server to do. None where the token is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None


def _expiry(claims: dict[str, Any]) -> float:
    """When a token expires, in seconds since 1970; 0 where it does not say."""
    expires = claims.get("exp")
    return float(expires) if isinstance(expires, int | float) else 0.0
