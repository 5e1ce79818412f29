"""What callers do before they send a request: many connections, half a header, half a body, chunks that are none."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from backend.web import body, connections
from tests.backend.web.serving import Site, serving

MOST = 20
HALF_A_HEADER = b"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
REQUEST = b"GET /static/page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
NO_CHUNK = (
    b"POST /setup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"a":\r\nzz\r\n'
)


@pytest.fixture
def narrow_site(site: Site) -> Iterator[Site]:
    with serving(site.settings, MOST) as narrow:
        yield narrow


@contextmanager
def connected(site: Site, sent: bytes = b"") -> Iterator[socket.socket]:
    where = (site.client.base_url.host, site.client.base_url.port or 0)
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(sent)
        yield connection


@contextmanager
def deaf(site: Site) -> Iterator[socket.socket]:
    """Asks for more than the system keeps for it, and reads none of it."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        connection.connect((site.client.base_url.host, site.client.base_url.port or 0))
        with suppress(OSError):  # as soon as the server takes no more
            connection.sendall(REQUEST * 2000)
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Waits for an answer or the end."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("sent", [b"", HALF_A_HEADER, HALF_A_BODY], ids=["nothing", "half a header", "half a body"])
def test_many_connections_that_send_no_whole_request_end_themselves_and_hold_up_nobody(
    narrow_site: Site, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        for _ in range(10 * MOST):
            stack.enter_context(connected(narrow_site, sent))
        start_s = time.monotonic()
        for _ in range(3):
            assert narrow_site.client.get("/health").status_code == 200
        assert time.monotonic() - start_s < 2
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) <= 3 and any(f"more than {MOST} connections" in line for line in said)


def test_a_request_that_waits_for_its_answer_is_not_ended_by_a_flood(narrow_site: Site) -> None:
    narrow_site.set_up()
    slow = b"GET /api/projects HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        waiting = stack.enter_context(connected(narrow_site, slow))
        for _ in range(5 * MOST):
            stack.enter_context(connected(narrow_site))
        assert waiting.recv(12) == b"HTTP/1.1 200"


def test_many_connections_that_were_answered_and_stay_hold_up_nobody(narrow_site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(3 * MOST):
            connection = stack.enter_context(connected(narrow_site, REQUEST))
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert narrow_site.client.get("/health").status_code == 200


@pytest.mark.parametrize("opened", [MOST, 3 * MOST])
def test_many_connections_that_read_no_answer_hold_up_nobody(narrow_site: Site, opened: int) -> None:
    with ExitStack() as stack:
        for _ in range(opened):
            stack.enter_context(deaf(narrow_site))
        start_s = time.monotonic()
        for _ in range(3):
            assert narrow_site.client.get("/health").status_code == 200
        assert time.monotonic() - start_s < 2


def test_a_connection_that_reads_no_answer_is_closed_after_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "UNREAD_S", 0.2)
    with deaf(site) as connection:
        deadline_s = time.monotonic() + 5
        while "unread" not in caplog.text:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert is_closed(connection)


def test_half_a_header_is_closed_after_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.2)
    with connected(site, HALF_A_HEADER) as connection:
        for _ in range(10):  # however busy it is
            time.sleep(0.05)
            try:
                connection.sendall(b"x")
            except (BrokenPipeError, ConnectionResetError):
                break
        assert is_closed(connection)


def test_half_a_body_is_refused_after_a_while(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_S", 0.2)
    with connected(site, HALF_A_BODY) as connection:
        answer = b""
        while received := connection.recv(4096):  # until it is closed
            answer += received
        assert b" 408 " in answer.split(b"\r\n")[0] and b"too_slow" in answer


def test_a_chunk_that_is_none_ends_the_connection_with_one_line(
    narrow_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with connected(narrow_site, NO_CHUNK) as connection:
            assert is_closed(connection)
    assert narrow_site.client.get("/health").status_code == 200
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1 and said[0].getMessage().startswith("Invalid HTTP request received.")
    assert said[0].exc_info is None


def test_thousands_of_tiny_chunks_end_the_connection_and_hold_up_nobody(
    narrow_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    head, body = HALF_A_BODY.partition(b"Content-Length")[0], b"1\r\n \r\n" * 500_000
    with connected(narrow_site, head + b"Transfer-Encoding: chunked\r\n\r\n") as connection:
        start_s = time.monotonic()
        with suppress(OSError):  # it is closed meanwhile
            connection.sendall(body)
        assert is_closed(connection)
        assert narrow_site.client.get("/health").status_code == 200
        assert time.monotonic() - start_s < 2
    assert "thousands of tiny chunks" in caplog.text


def test_the_same_line_is_written_once_in_ten_seconds_with_how_often_it_came(caplog: pytest.LogCaptureFixture) -> None:
    times_s = iter((0.0, 1.0, 2.0, 11.0))
    flood = connections.FloodLog(lambda: next(times_s))
    for _ in range(4):
        flood.say("Too many.")
    assert [record.getMessage() for record in caplog.records] == [
        "Too many.",
        "Too many. (2 times more since the last such line)",
    ]
