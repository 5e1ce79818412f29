"""The digests of images are written where their names stand, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.docker.test_dockerfile import ROOT

DOCKER = """#!/bin/sh
case "$*" in
    *inspect*) printf '%s@sha256:%064d\\n' "${5%:*}" "$(printf %s "$5" | cksum | cut -d ' ' -f 1)" ;;
esac
"""


def test_every_image_of_others_gets_the_digest_of_its_tag_and_can_be_pinned_anew(tmp_path: Path) -> None:
    folder = tmp_path / "docker"
    shutil.copytree(ROOT / "docker", folder)
    (programs := tmp_path / "bin").mkdir()
    (programs / "docker").write_text(DOCKER)  # no engine is at hand where tests run
    (programs / "docker").chmod(0o755)

    def pin(*options: str) -> tuple[int, str]:
        command = [sys.executable, str(folder / "pin.py"), *options]
        done = subprocess.run(command, env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True)
        return done.returncode, done.stdout

    code, said = pin("--check")
    images = [line.split()[0] for line in said.splitlines()]
    assert (code, len(images)) == (1, 3)
    texts = [(folder / name).read_text() for name in ("Dockerfile", "compose.yaml")]
    for _ in range(2):
        assert pin()[0] == 0
        changed = [(folder / name).read_text() for name in ("Dockerfile", "compose.yaml")]
        assert sum(text.count("@sha256:") for text in changed) == len(images)
        assert all(f"{image}@sha256:" in "".join(changed) for image in images)
    assert [len(text.splitlines()) for text in changed] == [len(text.splitlines()) for text in texts]
    assert pin("--check")[0] == 0
