"""Requests to Label Studio's REST API: signed, repeated where it does not answer for now, their failures as sentences.

What is asked for is in client.py; see token_auth.py for how requests are signed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from backend.errors import UNTRUSTED, LabelStudioError, UnreachableError, is_untrusted_certificate
from backend.labelstudio.answers import detail_of
from backend.labelstudio.token_auth import REFRESH_PATH, TokenAuth

FOR_NOW = (408, 425, 429, 500, 502, 503, 504)
WAITS_S = (0.5, 1.0, 2.0)

Json = dict[str, Any]
Result = TypeVar("Result")


class LabelStudioConnection:
    """One Label Studio server, seen as the user whose token it is."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout_s: float = 30.0,
        waits_s: Sequence[float] = WAITS_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: waits_s: before each new attempt at a server that does not answer for now.

        Raises: LabelStudioError where the token has expired.
        """
        self.base_url = base_url.rstrip("/")
        self._waits_s, self._sleep = waits_s, sleep
        self._http = httpx.Client(timeout=timeout_s, follow_redirects=False, headers={"User-Agent": "boxstrap"})
        self._http.auth = self._auth = TokenAuth(self._http, self.base_url, api_key)

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def authorization(self) -> str:
        """The Authorization header of a request now; personal tokens are exchanged for a short-lived one."""
        return self._attempt(REFRESH_PATH, self._auth.header)

    def _if_there(self, method: str, path: str, **what: Any) -> bool:
        try:
            self._json(method, path, **what)
        except LabelStudioError as error:
            if status_of(error) == 404:
                return False
            raise
        return True

    def _object(self, method: str, path: str, **what: Any) -> Json:
        found = self._json(method, path, **what)
        if not isinstance(found, dict):
            raise LabelStudioError(
                f"{self.base_url}/{path} answered no JSON object; is LABEL_STUDIO_URL a Label Studio?"
            )
        return found

    def _json(self, method: str, path: str, **what: Any) -> Any:
        response = self._attempt(path, lambda: self._request(method, path, what))
        try:
            return response.json() if response.content else {}
        except (ValueError, RecursionError) as error:
            raise LabelStudioError(
                f"{self.base_url}/{path} answered no JSON; is LABEL_STUDIO_URL a Label Studio?"
            ) from error

    def _request(self, method: str, path: str, what: Mapping[str, Any]) -> httpx.Response:
        return self._http.request(method, f"{self.base_url}/{path}", **what).raise_for_status()

    def _attempt(self, path: str, ask: Callable[[], Result]) -> Result:
        """What `ask` gives; again after a while where the server does not answer for now."""
        for wait_s in (*self._waits_s, None):
            try:
                return ask()
            except httpx.HTTPStatusError as error:
                problem = self._problem(path, error.response)
                if wait_s is None or not isinstance(problem, UnreachableError):
                    raise problem from error
            except httpx.HTTPError as error:
                if is_untrusted_certificate(error):
                    raise LabelStudioError(f"Label Studio at {self.base_url}: {UNTRUSTED}.") from error
                if wait_s is None:
                    raise UnreachableError(
                        f"Label Studio at {self.base_url} does not answer ({type(error).__name__}); "
                        "is it running, and is LABEL_STUDIO_URL the address as seen from this machine?"
                    ) from error
            self._sleep(wait_s)
        raise AssertionError("unreachable")

    def _problem(self, path: str, response: httpx.Response) -> LabelStudioError:
        status, place = response.status_code, f"{self.base_url}/{path}"
        if 300 <= status < 400:
            return LabelStudioError(
                f"{place} redirects to {redirected(response, path)}; set LABEL_STUDIO_URL to that, or to the address "
                "that Label Studio has itself."
            )
        if status in FOR_NOW:
            return UnreachableError(f"{place} answered {status}; Label Studio may be starting or overloaded.")
        if status == 401:
            return LabelStudioError(
                f"{place} answered 401: {detail_of(response.text)} Set LABEL_STUDIO_API_KEY to an access token from "
                "Account & Settings; legacy tokens have to be switched on there first."
            )
        if status in (403, 404):
            return LabelStudioError(f"{place} answered {status}; does the token's user see this project?")
        return LabelStudioError(f"{place} answered {status}: {detail_of(response.text)}")


def status_of(error: LabelStudioError) -> int | None:
    """The HTTP status that Label Studio answered with; None where it did not answer."""
    return error.__cause__.response.status_code if isinstance(error.__cause__, httpx.HTTPStatusError) else None


def redirected(response: httpx.Response, path: str) -> str:
    """Where a redirect leads, without the path that was asked for."""
    target = str(response.url.join(response.headers.get("location", "")))
    return target.partition("?")[0].rstrip("/").removesuffix(path.partition("?")[0].strip("/")).rstrip("/")
