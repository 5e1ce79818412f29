"""Two thousand requests without meaning: none breaks the server, none hangs, every refusal is JSON."""

from __future__ import annotations

import logging
import random
import socket
import time
from pathlib import Path

import pytest

from tests.backend.web.malformed import malformed
from tests.backend.web.serving import Site, code_of, predict_worker

PATIENCE_S = 5.0
RAW = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /setup HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_request_breaks_the_server(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    site.set_up()
    site.publish(tmp_path)
    generator = random.Random(seed)
    refused = 0
    with predict_worker(site.queue, lambda call: [{"result": [], "score": 0.0}] * len(call["tasks"])):
        for _ in range(500):
            request = malformed(generator)
            start = time.monotonic()
            answer = site.client.request(
                request.method, request.path, content=request.body, headers=request.headers, timeout=PATIENCE_S
            )
            assert time.monotonic() - start < PATIENCE_S
            assert answer.status_code < 500, (request, answer.text)
            if answer.status_code >= 400 and request.method != "HEAD":
                code_of(answer)
                refused += 1
    assert refused > 100
    assert site.client.get("/health").status_code == 200
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("sent", RAW)
def test_what_is_hardly_http_ends_the_connection_only(site: Site, sent: bytes) -> None:
    with socket.create_connection((site.client.base_url.host, site.client.base_url.port or 0), timeout=5) as connection:
        connection.sendall(sent)
        try:
            connection.shutdown(socket.SHUT_WR)
            answered = connection.recv(1000)
        except OSError:  # it has been ended already
            answered = b""
    assert not answered or answered.split(b" ")[1][:1] in (b"2", b"4"), answered
    assert site.client.get("/health").status_code == 200
