"""`make demo`: class labels in, boxes and masks out, in a real Label Studio.

Second runs find Label Studio, the pictures, the project and its model again; EXIT=1 ends when all is done.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import httpx
from rich.console import Console

from backend.errors import BackendError
from backend.terminal import warn_of
from demo.boxstrap_process import Boxstrap
from demo.label_studio_server import LabelStudioServer, install, kept_login
from demo.local_servers import free_port
from demo.measure import measure, stored, write_sheet
from demo.project import DemoProject
from wsol_core.data.folder import DataFolder, read_folder
from wsol_core.errors import WsolError
from wsol_core.synthetic.dataset import draw_folder

ROOT = Path(__file__).resolve().parent.parent
CLASSES, IMAGES = 4, 400
PREDICTED_S = 600  # for the predictions of all tasks, after the training
Result = TypeVar("Result")
console = Console(stderr=True, highlight=False)


def main() -> int:
    """The whole demo; 0 when boxes and masks are stored."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--images", type=Path, help="folder with a sub-folder of pictures per class")
    parser.add_argument("--exit", action="store_true", help="end when all is done")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="where everything is kept")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last comes when the terminal is closed
        signal.signal(number, _interrupt)
    servers: list[Any] = []
    try:
        _run(given.images, given.build.absolute(), given.exit, servers)
    except KeyboardInterrupt:
        console.print("\nStopping.")
    except (RuntimeError, WsolError, BackendError, httpx.HTTPError) as error:
        console.print(f"[bold red]Error:[/bold red] {error}", soft_wrap=True)
        return 1
    finally:
        for server in reversed(servers):
            server.stop()
    return 0


def _run(images: Path | None, build: Path, ends: bool, servers: list[Any]) -> None:
    begin = time.monotonic()
    program = _step("Label Studio, in an environment of its own", lambda: install(build / "label-studio"))
    home = build / "demo"
    pictures = images.absolute() if images else _drawn(home / "pictures")
    data = read_folder(pictures)
    login = kept_login(home / "login.json", "demo@example.com")
    label_studio = LabelStudioServer(program, home / "label-studio", free_port(8080), login, pictures)
    servers.append(label_studio)
    _step("Label Studio starts", label_studio.start)
    boxstrap = Boxstrap(home, label_studio.url, login.token, tiny=images is None)
    servers.append(boxstrap)
    _step("Boxstrap starts", boxstrap.start)
    project = DemoProject(label_studio.url, login.token)
    title = f"Boxstrap demo: {pictures.name}"[:50]
    importing = boxstrap.import_service()
    imported = _step(
        f"{len(data.samples)} pictures with class labels",
        lambda: importing.import_folder(pictures, data, title=title, served_from=pictures.parent),
    )
    warn_of(imported.skipped)
    project_id = int(imported.project)
    importing.connect(imported.project, boxstrap.url)
    version = None if imported.added else boxstrap.version(project_id)
    if version is None:
        if not boxstrap.is_training(project_id):
            project.start_training(project.backend(project_id))
        version = boxstrap.watch_training(project_id, console)
    tasks = _wait_for_predictions(project, project_id, version, imported.added + imported.known)
    _show(tasks, data, version, home)
    warn_of(boxstrap.faults(project_id, version))
    console.print(f"All of it took {(time.monotonic() - begin) / 60:.1f} minutes.")
    console.print(f"\nLabel Studio: [bold]{label_studio.url}/projects/{project_id}/data[/bold]")
    console.print(f"Log in with {login.email} and the password {login.password}")
    console.print(f"Boxstrap: {boxstrap.url}")
    if not ends:
        console.print("Everything stays up until Ctrl-C.")
        while label_studio.runs() and boxstrap.runs():
            time.sleep(0.5)


def _wait_for_predictions(project: DemoProject, project_id: int, version: str, count: int) -> list[dict[str, Any]]:
    """The tasks, when as many as `count` have a prediction of the version; what is missing is asked for once more."""

    def wait() -> list[dict[str, Any]]:
        deadline = time.monotonic() + PREDICTED_S
        while True:
            tasks = project.tasks(project_id)
            done = sum(any(each["model_version"] == version for each in task["predictions"]) for task in tasks)
            if done >= count:
                return tasks
            if time.monotonic() > deadline:
                raise RuntimeError(f"Only {done} of {count} tasks have predictions of {version}.")
            time.sleep(2)

    tasks = _step("Boxes and masks are written into Label Studio", wait)
    project.retrieve_predictions(project_id)  # as the button does; nothing may be stored twice
    return tasks


def _show(tasks: list[dict[str, Any]], data: DataFolder, version: str, home: Path) -> None:
    found = stored(tasks, data.samples, version)
    sheet = home / "predictions.jpg"
    write_sheet(found, sheet)
    boxes, masks = sum(len(each.all_boxes_xyxy) for each in found), sum(bool(each.masks) for each in found)
    console.print(f"{version}: {boxes} boxes, masks on {masks} of {len(found)} pictures, stored in Label Studio")
    for name, value in measure(found).items():
        console.print(f"  {name} [bold]{value:.3f}[/bold]")
    console.print(f"Some of them: {sheet}", soft_wrap=True)
    spared = "Every box is shown here; your projects are spared those that would cost more time than they save."
    console.print(spared, soft_wrap=True)


def _drawn(folder: Path) -> Path:
    if not (folder / "annotations.jsonl").is_file():
        part = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(part, ignore_errors=True)
        _step(f"{IMAGES} pictures are drawn", lambda: draw_folder(part, CLASSES, IMAGES, seed=0))
        part.rename(folder)
    return folder


def _step(doing: str, work: Callable[[], Result]) -> Result:
    start = time.monotonic()
    with console.status(doing):
        result = work()
    console.print(f"{doing}: done in {time.monotonic() - start:.0f} s")
    return result


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
