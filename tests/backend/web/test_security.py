"""Who may call, what they may send, and how much of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import httpx
import pytest

from backend.web import security
from tests.backend.web.serving import CONFIG, Site, code_of, serving_with, task

USER, PASSWORD = "studio", "pässword: with colon"
PROTECTED = (
    "/",
    "/versions",
    "/metrics",
    "/api/projects",
    "/api/status",
    "/static/dashboard.css",
    "/openapi.json",
    "/x",
)
START = {"action": "START_TRAINING", "project": {"id": 7}}


@pytest.fixture
def closed(site: Site) -> Iterator[Site]:
    with serving_with(site, basic_auth_user=USER, basic_auth_pass=PASSWORD) as closed:
        yield closed


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_without_the_password_only_health_answers(closed: Site) -> None:
    assert closed.client.get("/health").status_code == 200
    for path in PROTECTED:
        answer = closed.client.get(path)
        assert (answer.status_code, code_of(answer)) == (401, "not_allowed")
        assert answer.headers["www-authenticate"].startswith('Basic realm="Boxstrap"')
    for path in ("/setup", "/predict", "/webhook", "/train", "/job_status", "/api/projects/7/train"):
        assert closed.post(path, START).status_code == 401
    assert closed.stores.runs.all() == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ????",
        "Basic \xff\xfe",
        "Bearer " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
        basic(USER, "wrong")["Authorization"],
        basic("wrong", PASSWORD)["Authorization"],
        basic(USER, "")["Authorization"],
        basic(USER, PASSWORD)["Authorization"] + "AAAA",
    ],
)
def test_a_wrong_password_is_none(closed: Site, header: str) -> None:
    answer = closed.client.get("/versions", headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, code_of(answer)) == (401, "not_allowed")


def test_wrong_passwords_are_answered_later_and_later_and_the_right_one_at_once(closed: Site) -> None:
    took_s = []
    for _ in range(4):
        start_s = time.monotonic()
        closed.client.get("/versions", headers=basic(USER, "wrong"))
        took_s.append(time.monotonic() - start_s)
    assert took_s[3] > max(0.75, took_s[0])  # 0.1, 0.2, 0.4, 0.8 s
    start_s = time.monotonic()
    assert closed.client.get("/versions", headers=basic(USER, PASSWORD)).status_code == 200
    assert time.monotonic() - start_s < took_s[3]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example:9090", "a", "[::x]", "[::1].evil.example"]
)
def test_without_a_password_a_name_that_is_led_here_is_refused(site: Site, host: str) -> None:
    for path in ("/", "/api/projects", "/static/dashboard.js"):
        answer = site.client.get(path, headers={"Host": host})
        assert (answer.status_code, code_of(answer)) == (421, "wrong_host")
    answer = site.client.post("/train", json={"project": 7}, headers={"Host": host})
    assert (answer.status_code, code_of(answer)) == (421, "wrong_host")
    assert "BOXSTRAP_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("host", ["localhost:9090", "LOCALHOST", "127.0.0.1", "[::1]:9090", "192.0.2.7", "x.localhost"])
def test_own_names_and_addresses_are_answered(site: Site, host: str) -> None:
    assert site.client.get("/versions", headers={"Host": host}).status_code == 200


def test_names_that_the_settings_allow_are_answered_and_any_where_there_is_a_password(site: Site) -> None:
    with serving_with(site, allowed_hosts=("serve", "gpu.example")) as open_site:
        for host in ("serve:9090", "GPU.example."):
            assert open_site.client.get("/versions", headers={"Host": host}).status_code == 200
    with serving_with(site, basic_auth_user=USER, basic_auth_pass=PASSWORD) as closed:
        headers = {**basic(USER, PASSWORD), "Host": "behind.a.proxy.example"}
        assert closed.client.get("/versions", headers=headers).status_code == 200


def test_with_the_password_everything_answers(closed: Site) -> None:
    closed.client.headers.update(basic(USER, PASSWORD))
    for path in PROTECTED[:-1]:
        assert closed.client.get(path).status_code == 200
    closed.set_up()
    assert closed.post("/predict", {"tasks": [task(1)], "project": "7"}).status_code == 200
    assert closed.post("/webhook", START).status_code == 201


def test_setup_has_the_webhook_signed_and_says_so_to_a_worker_once(closed: Site) -> None:
    closed.client.headers.update(basic(USER, PASSWORD))
    for _ in range(3):
        closed.set_up()
    assert closed.queue.counts()["boxstrap-predict"]["queued"] == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    answer = site.post("/setup", {"project": "7", "schema": "x" * (2 * 2**20)})
    assert (answer.status_code, code_of(answer)) == (413, "too_large")
    assert "MAX_BODY_MB" in answer.json()["error"]["message"]


def test_a_body_that_does_not_say_how_large_it_is_is_refused_as_well(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"project": "7", "schema": "'
        for _ in range(40):
            yield b"x" * 2**16
        yield b'"}'

    for path in ("/setup", "/predict", "/webhook"):
        answer = site.client.post(path, content=chunks(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, code_of(answer)) == (413, "too_large")


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/api/projects/7/activate"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"tasks": [' + b"{}," * 660_000 + b"{}]}", 413),
        (b'{"tasks": ' + b"[" * 120 + b"]" * 120 + b"}", 422),
        (b'{"tasks": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}", 422),
        (b'{"project": {"id": "\\\\"}, "a": ' + b"[" * 975 + b"]" * 975 + b"}", 422),
        ('{"project": "7", "schema": "<View/>", "tasks": []}'.encode("utf-16"), 422),
    ],
    ids=["too many values", "120 lists deep", "600 objects deep", "deep behind a backslash", "UTF-16"],
)
def test_json_that_would_take_too_much_is_refused_before_it_is_parsed(
    site: Site, path: str, body: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "whole_body", lambda *_: pytest.fail("it was given to the application"))
    answer = site.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    code_of(answer)


def test_brackets_in_texts_are_no_depth(site: Site) -> None:
    body = {"project": "7", "schema": '<View title="' + '[{\\"' * 500 + '"/>', "extra": '\\" [[' * 500}
    assert site.post("/setup", body).status_code == 200


def test_a_labeling_config_larger_than_any_project_needs_is_refused(site: Site) -> None:
    answer = site.post("/setup", {"project": "7", "schema": "x" * (300 * 1024)})
    assert (answer.status_code, code_of(answer)) == (413, "too_large")


def test_a_chunked_body_within_the_limit_is_read(site: Site) -> None:
    body = iter([b'{"project": ', b'"7", "schema": "<View/>"}'])
    answer = site.client.post("/setup", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"])
def test_what_a_form_on_another_site_could_send_changes_nothing(site: Site, kind: str) -> None:
    site.set_up()
    body = b'{"action": "START_TRAINING", "project": {"id": 7}}'
    for path in ("/webhook", "/train", "/api/projects/7/train", "/api/runs/x/cancel", "/nowhere"):
        headers = {"Content-Type": kind} if kind else {}
        answer = site.client.post(path, content=body, headers=headers)
        assert (answer.status_code, code_of(answer)) == (415, "not_json")
    assert site.stores.runs.all() == []


def test_another_site_may_not_send_json_either(site: Site) -> None:
    asks = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = site.client.options("/api/projects/7/train", headers=asks)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_json_may_name_its_charset(site: Site) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = site.client.post("/setup", content='{"project": "7", "schema": "ä"}'.encode(), headers=headers)
    assert answer.status_code == 200


def test_static_files_are_ours_only(site: Site) -> None:
    for path in (
        "/static/../api.py",
        "/static/%2e%2e/api.py",
        "/static/..%2fapi.py",
        "/static//etc/passwd",
        "/static/",
    ):
        answer = httpx.get(str(site.client.base_url).rstrip("/") + path)
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert CONFIG not in site.client.get("/static/dashboard.js").text
