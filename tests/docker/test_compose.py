"""The compose files, as far as they can be judged without a Docker engine: their rules, and the health checks' code."""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]
from redis import Redis
from rq import SimpleWorker

from backend.queueing.connection import redis_url
from backend.settings import Settings
from demo.local_servers import free_port
from tests.backend.support.embedded_redis import redis_in, short_home
from tests.local_http import answering, send

DOCKER = Path(__file__).resolve().parents[2] / "docker"
OURS = ("serve", "worker-predict", "worker-train")
SECRETS = {
    "LABEL_STUDIO_USERNAME": "ann@example.org",
    "LABEL_STUDIO_PASSWORD": "a-password",
    "LABEL_STUDIO_USER_TOKEN": "t" * 40,
    "REDIS_PASSWORD": "r" * 40,
}
REFERENCE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
SPECIAL = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15
             224.0.0.0/4 240.0.0.0/4"""  # that Label Studio blocks by itself; whoever may reach them is inside

Service = dict[str, Any]


@functools.cache
def compose(name: str = "compose.yaml") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return document


def service(name: str) -> Service:
    found: Service = compose()["services"][name]
    return found


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """`text` as compose fills it in; KeyError with its sentence where a required variable is missing or empty."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.group("name", "kind", "rest")
        if environ.get(name):
            return environ[name]
        if kind == "-":
            return str(rest)
        raise KeyError(rest)

    return REFERENCE.sub(value, text)


def environment(name: str, **more: str) -> dict[str, str]:
    return {key: interpolated(value, SECRETS | more) for key, value in service(name)["environment"].items()}


def test_every_service_restarts_stops_in_time_and_says_how_it_is() -> None:
    for name, found in compose()["services"].items():
        assert found["restart"] == "unless-stopped", name
        assert found["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries"} <= set(found["healthcheck"]), name
        assert "stop_grace_period" in found, name
        assert "privileged" not in found, name


def test_the_foreign_images_are_pinned() -> None:
    for name in {*compose()["services"]} - {*OURS}:
        tag = service(name)["image"].partition(":")[2]
        assert re.fullmatch(r"\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", tag), name


@pytest.mark.parametrize("name", OURS)
def test_ours_run_one_image_behind_an_init_after_what_they_need(name: str) -> None:
    found = service(name)
    assert found["image"] == service("serve")["image"]
    assert found["init"] is True
    assert found["cap_drop"] == ["ALL"]
    conditions = {needed: wait["condition"] for needed, wait in found["depends_on"].items()}
    assert conditions == {"redis": "service_healthy", "label-studio": "service_healthy"}


@pytest.mark.parametrize("secret", SECRETS)
def test_compose_refuses_to_start_without_a_secret(secret: str) -> None:
    text = (DOCKER / "compose.yaml").read_text()
    interpolated(text, SECRETS)
    with pytest.raises(KeyError, match=f"Set {secret} in docker/.env to "):
        interpolated(text, SECRETS | {secret: ""})


def test_the_example_names_every_variable_and_no_value_of_a_secret() -> None:
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    used = {match["name"] for match in REFERENCE.finditer((DOCKER / "compose.yaml").read_text())}
    assert set(example) - {"COMPOSE_FILE"} == used
    assert [example[name] for name in SECRETS] == ["", "", "", ""]


@pytest.mark.parametrize("name", OURS)
def test_boxstrap_knows_every_variable_that_it_is_given(name: str) -> None:
    known = {variable for part in fields(Settings) for variable in part.metadata["names"]}
    assert set(service(name)["environment"]) <= known


@pytest.mark.parametrize("name", OURS)
def test_settings_accept_what_compose_gives_them(name: str) -> None:
    settings = Settings.from_env(environment(name, TRAIN_MINUTES="20"))
    assert settings.label_studio_url == "http://label-studio:8080"
    assert settings.label_studio_api_key == SECRETS["LABEL_STUDIO_USER_TOKEN"]
    assert settings.redis_url == f"redis://:{SECRETS['REDIS_PASSWORD']}@redis:6379/0"
    assert settings.weights_dir is None
    assert settings.train_minutes == 20
    assert settings.backbone == Settings().backbone


def test_redis_is_for_ours_alone() -> None:
    redis = service("redis")
    assert "ports" not in redis
    assert compose()["networks"]["queue"]["internal"] is True
    assert not {*redis["networks"]} & {*service("label-studio")["networks"]}
    assert "--requirepass" in redis["command"]
    assert "-a " not in redis["healthcheck"]["test"][1]  # a client's arguments are seen
    assert all({*redis["networks"]} <= {*service(name)["networks"]} for name in OURS)


def test_ports_are_published_on_this_machine_only_unless_told_otherwise() -> None:
    ports = {name: found["ports"] for name, found in compose()["services"].items() if "ports" in found}
    assert {name: [interpolated(port, {}) for port in found] for name, found in ports.items()} == {
        "label-studio": ["127.0.0.1:8080:8080"],
        "serve": ["127.0.0.1:9090:9090"],
    }


def test_label_studio_may_call_our_network_and_no_other_private_one() -> None:
    given = environment("label-studio")
    assert given["LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS"] == "false"
    listed = given["LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS"].split(",")
    banned = [ipaddress.IPv4Network(text) for text in listed if ":" not in text]
    ours = ipaddress.IPv4Network(compose()["networks"]["front"]["ipam"]["config"][0]["subnet"])
    assert not any(ours.overlaps(network) for network in banned)
    assert len([ipaddress.IPv6Network(text) for text in listed if ":" in text]) + len(banned) == len(listed)
    all_but_the_hole = [*ipaddress.collapse_addresses([*banned, ours])]
    for special in SPECIAL.split():
        assert any(ipaddress.IPv4Network(special).subnet_of(network) for network in all_but_the_hole), special


def test_the_gpu_file_changes_known_services_only() -> None:
    override = compose("compose.gpu.yaml")["services"]
    assert set(override) == set(OURS)
    assert override["serve"]["build"]["args"] == {"TORCH": "gpu"}
    assert len({found["image"] for found in override.values()} | {service("serve")["image"]}) == 2
    for name in ("worker-predict", "worker-train"):
        [device] = override[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (401, True), (503, False)])
def test_serve_is_healthy_while_it_answers(status: int, healthy: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, status if handler.path == "/health" else 500)

    with answering(answer) as url:
        assert health_check("serve", {}, port=urlsplit(url).port or 0) is healthy


def test_serve_is_not_healthy_where_nothing_listens() -> None:
    assert not health_check("serve", {}, port=free_port())


@pytest.mark.slow
def test_a_worker_is_healthy_while_it_is_registered(redis_address: str) -> None:
    environ = {"REDIS_URL": redis_address}
    assert not health_check("worker-train", environ)
    with Redis.from_url(redis_address) as connection:
        worker = SimpleWorker(["boxstrap-train"], connection=connection)
        worker.register_birth()  # type: ignore[no-untyped-call]
        assert health_check("worker-train", environ)
        worker.register_death()  # type: ignore[no-untyped-call]
    assert not health_check("worker-train", environ)
    assert service("worker-predict")["healthcheck"] == service("worker-train")["healthcheck"]


def health_check(name: str, environ: Mapping[str, str], port: int = 9090) -> bool:
    """Whether the service's own health check, run here, ends with 0."""
    [kind, python, *arguments] = service(name)["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    command = [sys.executable, *(argument.replace("9090", str(port)) for argument in arguments)]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, timeout=60).returncode == 0


@pytest.fixture
def redis_address() -> Iterator[str]:
    """The address of a server that only this test knows."""
    with short_home() as home, redis_in(home):
        yield redis_url(Settings(home=home))
