"""No token, password or picture is in any log, at any level, nor in Redis, nor on disk but in the picture cache."""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.web.serving import CONFIG, Site, one_each, predict_worker, serving_with, task

TOKEN = "legacy-token-1f2e3d4c5b6a"
LOGIN, TASK_PASSWORD = "task-login-9b8c7d", "task-password-5e4f3a"
USER, PASSWORD = "studio-user-7a6b5c", "basic-password-2c3d4e"
NOISE = bytes(range(256)) * 12  # no picture, so it is refused, and whoever says why may be tempted to quote it
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + NOISE).decode()
TORN = "data:image/png;base64,!!" + base64.b64encode(NOISE).decode()
BODY_PARTS = (PICTURE[60:90], TORN[400:430])
SECRETS = (
    *(TOKEN, LOGIN, TASK_PASSWORD, PASSWORD, *BODY_PARTS),
    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
)


@pytest.fixture
def closed(site: Site) -> Iterator[Site]:
    with serving_with(site, basic_auth_user=USER, basic_auth_pass=PASSWORD) as closed:
        closed.client.auth = (USER, PASSWORD)
        yield closed


def everything_in_redis(site: Site) -> bytes:
    """Names and values of all keys, unpacked."""
    redis = site.queue.connection
    found: list[bytes] = []
    for key in redis.scan_iter():
        kind = redis.type(key)
        values: list[bytes] = {
            b"string": lambda key: [redis.get(key)],
            b"hash": lambda key: [part for pair in redis.hgetall(key).items() for part in pair],
            b"list": lambda key: redis.lrange(key, 0, -1),
            b"set": lambda key: list(redis.smembers(key)),
            b"zset": lambda key: redis.zrange(key, 0, -1),
            b"none": lambda key: [],  # it has expired meanwhile
            b"stream": lambda key: [part for _, entry in redis.xrange(key) for pair in entry.items() for part in pair],
        }[kind](key)
        found += [key, *(unpacked(value) for value in values)]
    return b"\n".join(found)


def unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def talk(site: Site) -> None:
    """A day of Label Studio's, with everything that could go wrong in between."""
    setup = {"project": "7.17", "schema": CONFIG, "hostname": "http://x", "access_token": TOKEN, "extra_params": TOKEN}
    params = {"login": LOGIN, "password": TASK_PASSWORD, "context": None}
    tasks = [task(1, image=PICTURE), task(2, image=TORN), task(3, image=PICTURE, thumb=PICTURE)]
    call = {"tasks": tasks, "project": "7.17", "label_config": CONFIG, "params": params}
    start = {"action": "START_TRAINING", "project": {"id": 7, "token": TOKEN, "label_config": CONFIG}}
    assert site.post("/setup", setup).status_code == 200
    with predict_worker(site.queue, one_each):
        assert site.post("/predict", call).status_code == 200
    with predict_worker(site.queue, one_each, fails="Oops: it failed"):
        assert site.post("/predict", call).status_code == 503
    assert site.post("/webhook", start).status_code == 201
    assert site.post("/predict", {**call, "project": TOKEN[:5] + "x"}).status_code == 422
    assert site.post("/setup", {**setup, "schema": None}).status_code == 422
    assert site.post("/predict", {**call, "tasks": {"access_token": TOKEN, "image": PICTURE}}).status_code == 422
    assert site.client.get("/versions", auth=("someone", "else")).status_code == 401
    content = f'{{"access_token": "{TOKEN}", "image": "{PICTURE}"'.encode()
    assert site.client.post("/setup", content=content, headers={"Content-Type": "application/json"}).status_code == 422


def test_no_secret_is_logged_or_kept(closed: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    closed.publish(tmp_path)
    caplog.set_level(logging.DEBUG)
    talk(closed)
    formatter = logging.Formatter("%(name)s %(message)s %(exc_text)s %(stack_info)s")
    written = "\n".join(
        f"{formatter.format(record)} {record.args!r}"
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))  # this test's own client
    )
    assert "project 7: run" in written  # the log was seen at all
    assert [secret for secret in SECRETS if secret in written] == []


def test_no_secret_is_in_redis(closed: Site, tmp_path: Path) -> None:
    closed.publish(tmp_path)
    talk(closed)
    kept = everything_in_redis(closed)
    assert b"predict 3 tasks of project 7" in kept  # the jobs were seen at all
    assert b"label_config" in kept  # and unpacked
    assert [secret for secret in SECRETS if secret.encode() in kept] == []


def test_no_secret_is_on_disk(closed: Site, tmp_path: Path) -> None:
    closed.publish(tmp_path)
    talk(closed)
    for name in ("projects", "runs", "models"):
        kept = b"".join(path.read_bytes() for path in (closed.settings.home / name).rglob("*") if path.is_file())
        assert [secret for secret in SECRETS if secret.encode() in kept] == []


def test_no_secret_is_answered(closed: Site, tmp_path: Path) -> None:
    closed.publish(tmp_path)
    closed.set_up()
    for path in ("/api/projects", "/api/status", "/metrics", "/openapi.json"):
        assert [secret for secret in SECRETS if secret in closed.client.get(path).text] == []
