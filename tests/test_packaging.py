"""What is published: what a plain installation brings, and what the source archive and its description hold."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_SOURCE = shutil.ignore_patterns(".*_cache", ".git", ".venv", ".hypothesis", "__pycache__", "build", "*.egg-info")
BUILD = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, unpacked; built from a copy, since setuptools writes into the folder that it builds."""
    copy = tmp_path_factory.mktemp("package") / "source"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    subprocess.run([sys.executable, "-c", BUILD], cwd=copy, capture_output=True, check=True)
    [packed] = (copy / "dist").iterdir()
    with tarfile.open(packed) as tar:
        tar.extractall(copy / "unpacked", filter="data")
    [folder] = (copy / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="module")
def metadata(archive: Path) -> Message:
    return email.message_from_string((archive / "PKG-INFO").read_text(encoding="utf-8"))


def test_a_plain_installation_brings_no_label_studio_ml(metadata: Message) -> None:
    plain = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[^\w.-]", line)[0] for line in plain}
    assert {"filelock", "torch"} <= names
    assert not names & {
        "label-studio-ml",
        "label-studio-sdk",
        "onnx",
        "tensorboard",
        "mlflow-skinny",
        "timm",
        "flask",
        "attr",
    }
    assert metadata.get_all("Provides-Extra") == ["label-studio-ml", "onnx", "tensorboard", "mlflow", "timm", "s3"]


def test_the_archive_has_the_pages_the_tests_and_the_changelog(archive: Path) -> None:
    for name in ("CHANGELOG.md", "LICENSE", "Makefile", "requirements.lock", "docs/settings.md", "docs/drawn.jpg"):
        assert (archive / name).read_bytes() == (ROOT / name).read_bytes(), name
    tests = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert tests == {path.relative_to(archive) for path in (archive / "tests").rglob("*.py")}


def test_the_description_links_to_no_file_that_an_index_lacks(metadata: Message) -> None:
    description = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]*)\)", description)
    assert "https://labelstud.io" in links
    assert [link for link in links if not link.startswith(("https://", "http://", "#"))] == []
    assert "Drawn pictures with" not in description


@pytest.mark.parametrize("package", ["backend", "wsol_core"])
def test_both_packages_say_that_they_are_typed(archive: Path, package: str) -> None:
    assert (archive / package / "py.typed").is_file()
