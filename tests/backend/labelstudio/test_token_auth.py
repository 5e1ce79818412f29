"""Both kinds of tokens, as a server that answers like Label Studio sees them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.client import LabelStudioClient
from tests.local_http import answering, send

LEGACY = "0123456789abcdef0123456789abcdef01234567"


def jwt(**claims: Any) -> str:
    """A token as Label Studio makes them; nobody here looks at the signature."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*texts, "c2lnbmF0dXJl"))


class TokenServer:
    """Exchanges the personal token `personal`, and takes nothing but access tokens for it, and the legacy token."""

    def __init__(self, valid_s: float = 300) -> None:
        self.url, self.valid_s = "", valid_s
        self.personal = jwt(token_type="refresh", exp=time.time() + 1e6)
        self.refreshed: list[str] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        signed = handler.headers.get("Authorization", "")
        if handler.path == "/label-studio/api/token/refresh/":
            if signed or json.loads(body) != {"refresh": self.personal}:
                return send(handler, 401, b'{"detail": "Token is blacklisted"}')
            self.refreshed.append(jwt(exp=time.time() + self.valid_s, number=len(self.refreshed)))
            return send(handler, 200, json.dumps({"access": self.refreshed[-1]}).encode())
        known = {f"Token {LEGACY}", *(f"Bearer {access}" for access in self.refreshed[-1:])}
        return send(handler, 200, b'{"id": 1}') if signed in known else send(handler, 401, b'{"detail": "who?"}')


@pytest.fixture
def server() -> Iterator[TokenServer]:
    server = TokenServer()
    with answering(server.answer) as url:
        server.url = url + "/label-studio"
        yield server


def client_of(server: TokenServer, token: str) -> closing[LabelStudioClient]:
    return closing(LabelStudioClient(server.url, token, waits_s=()))


def test_a_legacy_token_is_sent_as_it_is(server: TokenServer) -> None:
    with client_of(server, LEGACY) as client:
        assert (client.whoami(), client.authorization()) == ({"id": 1}, f"Token {LEGACY}")
    assert server.refreshed == []


def test_a_personal_token_is_exchanged_once_for_many_requests(server: TokenServer) -> None:
    with client_of(server, server.personal) as client:
        assert [client.whoami() for _ in range(3)] == [{"id": 1}] * 3
        assert client.authorization() == f"Bearer {server.refreshed[0]}"
    assert len(server.refreshed) == 1


def test_an_access_token_that_has_expired_is_exchanged_for_a_new_one(server: TokenServer) -> None:
    server.valid_s = -1
    with client_of(server, server.personal) as client:
        assert [client.whoami() for _ in range(2)] == [{"id": 1}] * 2
    assert len(server.refreshed) == 2


def test_threads_share_an_exchange(server: TokenServer) -> None:
    with client_of(server, server.personal) as client:
        threads = [threading.Thread(target=client.authorization) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.refreshed) == 1


def test_a_personal_token_that_the_server_does_not_take_is_named(server: TokenServer) -> None:
    with client_of(server, jwt(exp=time.time() + 1e6)) as client:
        for ask in (client.authorization, client.whoami):
            with pytest.raises(LabelStudioError, match=r"answered 401: Token is blacklisted Set LABEL_STUDIO_API_KEY"):
                ask()


@pytest.mark.parametrize("answered", [b"<html>", b"{}", b"[]"])
def test_a_server_that_gives_no_access_token_is_named(answered: bytes) -> None:
    with answering(lambda handler: send(handler, 200, answered)) as url:
        client = LabelStudioClient(url, jwt(exp=time.time() + 1e6))
        with (
            closing(client),
            pytest.raises(LabelStudioError, match="token/refresh/ answered no access token; is LABEL"),
        ):
            client.whoami()


@pytest.mark.parametrize(
    ("claims", "said"),
    [({"exp": time.time() - 1}, "has expired"), ({}, "does not have an expiration set, and is not valid")],
)
def test_a_personal_token_without_time_left_is_refused_at_once(claims: dict[str, float], said: str) -> None:
    with pytest.raises(LabelStudioError, match=f"LABEL_STUDIO_API_KEY cannot be used: API key {said}. Please obtain"):
        LabelStudioClient("http://127.0.0.1:9", jwt(**claims))


@pytest.mark.parametrize("token", ["a.b.c", "a.b", "", "a.bm8ganNvbg.c", f"a.{base64.b64encode(b'[1]').decode()}.c"])
def test_what_is_no_jwt_is_a_legacy_token(token: str) -> None:
    with closing(LabelStudioClient("http://127.0.0.1:9", token)) as client:
        assert client.authorization() == f"Token {token}"
