"""Processes that the tests against a real Label Studio start: Label Studio itself and Boxstrap."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.storage.files import locked
from demo.label_studio_server import LabelStudioServer, Login
from demo.local_servers import comes_up, free_port

ROOT = Path(__file__).resolve().parents[2]
S3_PROGRAM = ROOT / "build/moto/bin/moto_server"
LOGIN = Login("tester@example.com", "tester-Passw0rd", "0123456789abcdef0123456789abcdef01234567")


def eventually(check: Callable[[], Any], timeout_s: float, what: str, log: Path | None = None) -> Any:
    """What `check` gives once that is true; after `timeout_s` the test fails, and shows the end of `log`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if found := check():
            return found
        if time.monotonic() > deadline:
            end = log.read_text(errors="replace")[-3000:] if log else ""
            raise AssertionError(f"{what}: not within {timeout_s} s\n{end}")
        time.sleep(0.2)


def installed(program: Path) -> Path:
    """`program`; where it is not there the test is skipped, in CI it fails."""
    if not program.is_file():
        sentence = f"There is no {program}; `make test` installs it there."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return program


def label_studio_data(program: Path, template: Path) -> Path:
    """`template`, which holds the data folder after a first start; that takes half a minute, the first time."""
    with locked(template.with_suffix(".lock")):  # another process's tests may begin as well
        if not (template / ".migrated").is_file():
            shutil.rmtree(template, ignore_errors=True)
            first = LabelStudioServer(program, template, free_port(), LOGIN)
            first.start()
            first.stop()
            (template / ".migrated").touch()
    return template


@contextmanager
def label_studio(program: Path, template: Path, folder: Path, pictures: Path) -> Iterator[LabelStudioServer]:
    """A fresh one, from a copy of `template`."""
    shutil.copytree(label_studio_data(program, template), folder)
    server = LabelStudioServer(program, folder, free_port(), LOGIN, pictures)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def s3(program: Path, log: Path) -> Iterator[str]:
    """An S3 endpoint without any bucket, which asks nobody for a password; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("ab") as output:
        command = (program, "-H", "127.0.0.1", "-p", str(port))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: process.poll() is not None or _serves(url), 60, "the S3 endpoint is up", log)
        yield url
    finally:
        process.kill()
        process.wait()


def s3_variables(endpoint: str) -> dict[str, str]:
    """What a process needs to use it: an address, and keys that nobody looks at."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _serves(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def boxstrap(home: Path, log: Path, environment: Mapping[str, str], *command: str) -> Iterator[str]:
    """`boxstrap up` on a free port, or another command that serves, whose last word is the port; its address."""
    port = free_port()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # label-studio-ml starts a `python`
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BOXSTRAP_", "LABEL_STUDIO_"))}
    with log.open("ab") as output:
        process = subprocess.Popen(
            (*command, str(port)) if command else (sys.executable, "-m", "backend", "up"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **kept,
                "PATH": path,
                "BOXSTRAP_HOME": str(home),
                "BOXSTRAP_PORT": str(port),
                "MODEL_SCORE_THRESHOLD": "0",  # of models trained for a moment nothing would be worth showing
                **environment,
            },
            cwd=ROOT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        assert comes_up(url, process, 120), log.read_text(errors="replace")[-3000:]
        yield url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # label-studio-ml is a shell with a Python in it
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def personal_token(url: str) -> str:
    """A personal access token, made as the account page does; Label Studio gives it once."""
    with httpx.Client(base_url=url, trust_env=False, follow_redirects=False) as http:
        http.get("/user/login/").raise_for_status()
        form = {"email": LOGIN.email, "password": LOGIN.password, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
        done = http.post("/user/login/", data=form, headers={"Referer": f"{url}/user/login/"})
        assert done.status_code == 302
        headers = {"X-CSRFToken": http.cookies["csrftoken"], "Referer": url}
        made = http.post("/api/token/", json={}, headers=headers)
        made.raise_for_status()
        return str(made.json()["token"])
