"""`boxstrap up` as the demo's own process, and its training as a bar."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from backend.labelstudio.project_client import ProjectClient
from backend.services.importing import ImportService
from backend.settings import Settings
from backend.storage.runs import RunState
from backend.storage.stores import open_stores
from backend.wording import percent
from demo.local_servers import comes_up, free_port

ROOT = Path(__file__).resolve().parent.parent
MINUTES = 6  # of training
LINE_S = 30.0  # between two lines of progress
READY_S = 120.0


class Boxstrap:
    """`boxstrap up` for one Label Studio."""

    def __init__(
        self, home: Path, label_studio_url: str, token: str, tiny: bool, settings: Mapping[str, str] | None = None
    ) -> None:
        """Args: settings: variables that go before those of the environment."""
        self._home, self._port = home / "boxstrap", free_port(9090)
        self.url, self.log = f"http://127.0.0.1:{self._port}", home / "boxstrap.log"
        self._process: subprocess.Popen[bytes] | None = None
        defaults = {
            "BOXSTRAP_BACKBONE": "tiny" if tiny else "mobilenet_v2",
            "TRAIN_MINUTES": str(MINUTES),
            "MODEL_SCORE_THRESHOLD": "0",  # after minutes on a CPU few boxes save time, and people came to see some
        }
        self._environment = {
            **defaults,
            **os.environ,
            **(settings or {}),
            "BOXSTRAP_HOME": str(self._home),
            "BOXSTRAP_PORT": str(self._port),
            "LABEL_STUDIO_URL": label_studio_url,
            "LABEL_STUDIO_API_KEY": token,
        }

    def start(self) -> None:
        """Returns when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend", "up"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        if not comes_up(self.url, self._process, READY_S):
            raise RuntimeError(f"Boxstrap did not start; its log is {self.log}.")

    def runs(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends it and all that it started."""
        if self._process is not None and self.runs():
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def import_service(self) -> ImportService:
        """What `boxstrap import` uses, in this process."""
        settings = Settings.from_env(self._environment)
        return ImportService(settings, open_stores(settings), ProjectClient.of(settings))

    def version(self, project_id: int) -> str | None:
        """The newest version, if there is one."""
        names = httpx.get(f"{self.url}/versions", params={"project": project_id}, trust_env=False).json()["versions"]
        return str(names[0]) if names else None

    def faults(self, project_id: int, version: str) -> list[str]:
        """Why a version is unreliable: on a machine that has much else to do, the demo's minutes are few steps."""
        shown = httpx.get(f"{self.url}/api/projects", params={"project": project_id}, trust_env=False).json()
        versions = [each for project in shown["projects"] for each in project["versions"]]
        return [fault for each in versions if each["name"] == version for fault in each["faults"]]

    def is_training(self, project_id: int) -> bool:
        """Whether a training of it has not ended, such as one that goes on after Ctrl-C."""
        return any(not RunState(run["state"]).has_ended for run in self._runs(project_id))

    def watch_training(self, project_id: int, console: Console) -> str:
        """Shows the run's progress until it ends, where there is no terminal by a line now and then; its version."""
        said = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[facts]}"))
        with Progress(*columns, console=console) as bars:
            bar = bars.add_task("Training", total=1.0, facts="waiting for the worker")
            while True:
                run = self._newest_run(project_id)
                if run["state"] == "succeeded":
                    bars.update(bar, completed=1.0, facts=str(run["version"]))
                    return str(run["version"])
                if run["state"] in ("failed", "cancelled"):
                    raise RuntimeError(f"The training {run['state']}: {run['reason']} (log: {self.log})")
                if progress := run.get("progress"):
                    bars.update(bar, completed=progress["share"], facts=_facts(progress))
                    if not console.is_terminal and time.monotonic() - said > LINE_S:
                        said = time.monotonic()
                        console.print(f"Training, {percent(progress['share'])}: {_facts(progress)}", soft_wrap=True)
                if not self.runs():
                    raise RuntimeError(f"Boxstrap ended; its log is {self.log}.")
                time.sleep(1)

    def _newest_run(self, project_id: int) -> dict[str, Any]:
        newest = self._runs(project_id)[0]
        run = httpx.get(f"{self.url}/api/runs/{newest['id']}", trust_env=False).json()
        return dict(run)

    def _runs(self, project_id: int) -> list[dict[str, Any]]:
        """The newest first."""
        found = httpx.get(f"{self.url}/api/runs", params={"project": project_id}, trust_env=False).json()["runs"]
        return list(found)


def _facts(progress: dict[str, Any]) -> str:
    if "epoch" not in progress:
        return str(progress["stage"])
    return (
        f"{progress['stage']}, epoch {progress['epoch']}/{progress['epochs']}, loss {progress['loss']:.3f}, "
        f"{progress['images_per_s']:.0f} images/s, {progress['seconds_left']:.0f} s left"
    )
