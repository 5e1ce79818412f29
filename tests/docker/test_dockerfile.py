"""The Dockerfile, as far as it can be judged without a Docker engine: its rules, and its own install steps run here."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path

import pytest

from backend.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).parent / "uv"
NOT_HERE = ("pip install --no-cache-dir uv==", "groupadd")  # uv is here already, and users are the machine's


@dataclass(frozen=True)
class Step:
    """One instruction; `text` is all behind its name, lines joined and `--mount` left out of a RUN."""

    name: str
    text: str


@functools.cache
def steps() -> tuple[Step, ...]:
    text = re.sub(r"^#.*\n", "", (ROOT / "docker" / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    parts = (line.split(maxsplit=1) for line in lines if line.strip())
    return tuple(Step(name, re.sub(r"--mount=\S+ ", "", rest)) for name, rest in parts)


def named(name: str) -> list[str]:
    return [step.text for step in steps() if step.name == name]


def position(step: Step) -> int:
    return steps().index(step)


def environment() -> dict[str, str]:
    return {key: value for text in named("ENV") for key, value in re.findall(r"(\w+)=(\S+)", text)}


def test_the_base_is_one_pinned_tag() -> None:
    first, *others = named("FROM")
    assert re.fullmatch(r"python:3\.12-slim-bookworm(@sha256:[0-9a-f]{64})? AS base", first)
    assert others == ["base AS packages", "packages AS code", "base"]


def test_it_runs_as_a_user_with_a_fixed_number() -> None:
    last = [step.name for step in steps()][::-1].index("USER")
    assert named("USER") == ["10001:10001"]
    assert "RUN" not in [step.name for step in steps()][-last:]
    assert "useradd --uid 10001" in named("RUN")[-2]


def test_it_starts_the_server_where_other_containers_reach_it() -> None:
    assert named("ENTRYPOINT") == ['["boxstrap"]']
    assert named("CMD") == ['["serve"]']
    assert named("EXPOSE") == ["9090"]
    assert named("STOPSIGNAL") == ["SIGTERM"]
    assert environment()["PYTHONUNBUFFERED"] == "1"
    settings = Settings.from_env(environment())
    assert (settings.host, settings.port) == ("0.0.0.0", 9090)
    assert (settings.home, settings.models) == (Path("/data"), Path("/data/models"))


def test_the_packages_are_installed_before_the_code_is_there() -> None:
    lock, install = Step("COPY", "requirements.lock ./"), package_step()
    code = [position(Step("COPY", f"{package} {package}")) for package in ("wsol_core", "backend")]
    assert position(lock) < position(install) < min(code)
    assert "--no-deps" in install.text


def test_nothing_comes_from_an_address_but_torch_for_the_cpu() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    assert named("ADD") == []
    assert re.findall(r"https?://\S+", text) == ["https://download.pytorch.org/whl/cpu"]


def test_no_secret_is_baked_in() -> None:
    secret = {name for part in fields(Settings) if not part.repr for name in part.metadata["names"]}
    given = set(environment()) | {text.partition("=")[0] for text in named("ARG")}
    assert not given & secret
    assert not [name for name in given if re.search("PASS|TOKEN|SECRET|KEY", name)]


def test_only_what_the_image_is_made_of_is_sent_to_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {part for text in named("COPY") if not text.startswith("--from") for part in text.split()[:-1]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert rules[-1] == "**/__pycache__"


def test_the_tools_of_developers_stay_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = {re.split("[<>=]", tool)[0] for tool in project["dependency-groups"]["dev"]}
    [skipped] = re.findall(r"skip=\"\^\(([\w|-]+)\$other", package_step().text)
    assert set(skipped.split("|")) == tools - {"setuptools"}  # torch needs that one


def test_the_cpu_has_torch_from_its_own_index_and_nothing_of_cuda(fake_uv: Path, tmp_path: Path) -> None:
    install_packages(tmp_path, "cpu", fake_uv)
    locked = (tmp_path / "packages.txt").read_text()
    names = set(re.findall(r"^([\w.-]+)==", locked, re.MULTILINE))
    assert {"fastapi", "rq", "numpy", "setuptools", "safetensors"} <= names
    assert not [name for name in names if re.match("torch|triton|nvidia|cuda", name)]
    torch = (tmp_path / "torch.txt").read_text().splitlines()
    assert torch == [f"{name}=={locked_version(name)}" for name in ("torch", "torchvision")]
    calls = fake_uv.with_name("calls").read_text().splitlines()
    assert [call for call in calls if "--index-url https://download.pytorch.org/whl/cpu -r torch.txt" in call]
    assert [call for call in calls if "--require-hashes -r packages.txt" in call]


def test_another_torch_is_refused(fake_uv: Path, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        install_packages(tmp_path, "tpu", fake_uv)
    assert "TORCH is 'tpu'; it has to be cpu or gpu." in raised.value.stderr
    assert not fake_uv.with_name("calls").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not UV.exists() and not os.environ.get("CI"), reason="pip alone takes minutes for this; `make install` brings uv"
)
def test_its_install_steps_make_a_program_that_runs(beside_the_cache: Path) -> None:
    """Gigabytes, which uv links from its cache: hence the folder, and hence it goes at once."""
    run_install_steps(beside_the_cache, "gpu")
    programs = beside_the_cache / "opt" / "boxstrap" / "bin"
    clean = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(beside_the_cache), "PYTHONDONTWRITEBYTECODE": "1"}
    said = run("boxstrap --version", beside_the_cache, clean)
    assert said.startswith("boxstrap ")
    code = "from importlib.metadata import version as v; import backend; print(v('torch'), backend.__file__)"
    torch, path = run(f'python -c "{code}"', beside_the_cache, clean).split()
    assert torch == version("torch")
    assert Path(path).is_relative_to(beside_the_cache / "opt")
    assert not (programs / "pytest").exists() and not (programs / "pip").exists()


def package_step() -> Step:
    [found] = (step for step in steps() if "--require-hashes" in step.text)
    return found


def install_packages(folder: Path, torch: str, uv: Path) -> None:
    """Runs the step that installs the packages, with this uv."""
    copy(["requirements.lock"], folder)
    environ = os.environ | {"TORCH": torch, "PATH": f"{uv.parent}:{os.environ['PATH']}"}
    run(moved(package_step().text, folder), folder, environ)


def run_install_steps(folder: Path, torch: str) -> None:
    """Runs the Dockerfile's COPY and RUN steps below `folder`, each path of the image moved there."""
    environ = os.environ | {"TORCH": torch, "PATH": f"{UV.parent}:{os.environ['PATH']}"}
    build = folder / "build"
    build.mkdir()
    for step in steps():
        if step.name == "COPY" and not step.text.startswith("--from"):
            copy(step.text.split()[:-1], build)
        if step.name == "RUN" and not step.text.startswith(NOT_HERE):
            run(moved(step.text, folder), build, environ)


def copy(names: list[str], build: Path) -> None:
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, build / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, build / name)


def moved(command: str, folder: Path) -> str:
    command = command.replace("/usr/local/bin/python3", sys.executable)
    command = re.sub(r"(?<=\s)(/opt/boxstrap|/dist)\b", rf"{folder}\1", command)
    return re.sub(r"^pip ", f"{sys.executable} -m pip ", command.strip())


def run(command: str, folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def locked_version(name: str) -> str:
    [found] = re.findall(rf"^{name}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return str(found)


@pytest.fixture
def fake_uv(tmp_path: Path) -> Path:
    """A uv that writes down how it was called, into `calls` beside it, and does nothing."""
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def beside_the_cache() -> Iterator[Path]:
    cache = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir=Path(cache).parent, prefix="boxstrap-docker-test-") as folder:
        yield Path(folder)
