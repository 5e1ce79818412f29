"""Requests as no program of good will sends them, made from valid ones and from nothing, the same for the same seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.backend.web.serving import CONFIG, task

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW")
ODD_TEXTS = (
    *("", " ", "7", "7.17", "-1", "0x7", "٧", "None", "../../etc/passwd", "a" * 3000, "\x00", "\ud800", "\n\r", "%s%n"),
    *("<View/>", CONFIG, "<View", "data:image/png;base64,AAAA", "data:,", "http://[::1", "s3://", "${jndi:ldap://x}"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 10**30, 1.5, float("nan"), float("inf"), -0.0, [], {}, [[]], [None], {"": ""}),
    *({"id": 7}, {"id": -7}, {"id": "7/8"}, {"image": "x"}, ["7"], [{"id": {}}], {"result": [{"value": None}]}),
)
BODIES: dict[str, Any] = {
    "/setup": {"project": "7.17", "schema": CONFIG, "hostname": "http://x", "access_token": "t", "extra_params": {}},
    "/predict": {
        "tasks": [task(1), task(2)],
        "project": "7.17",
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": {"result": [{"type": "rectanglelabels", "value": {}}]}},
    },
    "/webhook": {"action": "START_TRAINING", "project": {"id": 7, "title": "t", "label_config": CONFIG}},
    "/train": {"project": "7"},
    "/job_status": {"job": "7-20260101-000000-abcdef"},
    "/api/projects/7/activate": {"version": "boxstrap-7-0001"},
    "/api/projects/7/train": {},
    "/api/projects/7/preannotate": {},
    "/api/runs/x/cancel": {},
}
PATHS = (
    *BODIES,
    *(
        "/",
        "/health",
        "/versions",
        "/versions?project=7",
        "/metrics",
        "/api/projects",
        "/api/runs",
        "/api/runs?project=7",
    ),
    *("/api/runs/x", "/api/status", "/static/dashboard.js", "/openapi.json"),
)
TYPES = ("application/json",) * 30 + ("text/plain", "application/json; charset=utf-16", "multipart/form-data", "")


@dataclass(frozen=True)
class Malformed:
    """One request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def malformed(generator: random.Random) -> Malformed:
    path = generator.choice(PATHS)
    body = _body(generator, path.partition("?")[0])
    headers = {
        "Accept": generator.choice(("*/*", "text/html", "text/html;q=", ";;,,q", "application/json;q=1e999")),
        "Authorization": generator.choice(("Basic", "Basic YTpi", "Bearer x", "x" * 500)),
        "Host": generator.choice(("localhost:9090", "a", "[::1]:1", "evil.example", "x:99999999")),
    }
    if kind := generator.choice(TYPES):
        headers["Content-Type"] = kind
    usual = "POST" if path in BODIES else "GET"
    method = usual if generator.random() < 0.8 else generator.choice(METHODS)
    return Malformed(method, _path(generator, path), body, headers)


def _body(generator: random.Random, path: str) -> bytes:
    kind = generator.random()
    if kind < 0.1:
        return generator.randbytes(generator.randrange(200))
    if kind < 0.15:
        depth = generator.choice((50, 900, 1100, 100_000))
        return b'{"tasks": ' + b"[" * depth + b"]" * generator.choice((0, depth)) + b', "project": "7"}'
    text = json.dumps(_mutated(generator, BODIES.get(path, {"x": 1}), 0.15)).encode()
    if kind < 0.25:
        place = generator.randrange(len(text))
        return text[:place] + generator.choice((b"", b"\xff", b"}", b'"', b"\x00", b"1" * 5000)) + text[place + 1 :]
    return text


def _mutated(generator: random.Random, value: Any, rate: float) -> Any:
    if generator.random() < rate:
        return generator.choice(ODD_VALUES) if generator.random() < 0.6 else generator.choice(ODD_TEXTS)
    if isinstance(value, dict):
        kept = {key: _mutated(generator, part, rate) for key, part in value.items() if generator.random() > rate / 2}
        return {**kept, generator.choice(ODD_TEXTS): 1} if generator.random() < rate else kept
    if isinstance(value, list):
        return [_mutated(generator, part, rate) for part in value for _ in range(generator.choice((0, 1, 1, 1, 2)))]
    return value


def _path(generator: random.Random, path: str) -> str:
    if generator.random() < 0.85:
        return path
    odd = quote(generator.choice(ODD_TEXTS).encode("utf-8", "surrogatepass"), safe="")
    parts = path.split("/")
    parts[generator.randrange(1, len(parts))] = odd
    return "/".join(parts) + generator.choice(("", "/", f"?project={odd}", "?" + "&" * 50, "//"))
