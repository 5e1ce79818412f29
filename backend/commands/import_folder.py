"""`boxstrap import`: a folder of labelled pictures becomes a Label Studio project that Boxstrap is connected to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.options import DryRunOption, JsonOption, examples
from backend.errors import LabelStudioError
from backend.settings import Settings
from backend.signals import on_interrupt
from backend.terminal import progress_bar, say, spinner, warn_of, write_json, write_result

if TYPE_CHECKING:
    from backend.services.importing import Imported, ImportService

EXAMPLES = examples(
    "boxstrap import pictures",
    "boxstrap import pictures --title 'Crabs and fish'",
    "boxstrap import more-pictures --project 7",
    "boxstrap import /data/pictures --local-files /data",
    "boxstrap import pictures --dry-run",
)


def command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder with a sub-folder per class, or with an annotations.jsonl."),
    ],
    project: Annotated[
        str | None,
        typer.Option(
            "--project", metavar="N", help="Fill this project.", show_default="that of the title, or a new one"
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="Title of the project.", show_default="the folder's name")
    ] = None,
    local_files: Annotated[
        Path | None,
        typer.Option(
            "--local-files",
            metavar="DIR",
            help="Upload nothing: Label Studio serves FOLDER from DIR, its LOCAL_FILES_DOCUMENT_ROOT.",
        ),
    ] = None,
    backend_url: Annotated[
        str | None,
        typer.Option(
            "--backend-url", metavar="URL", help="Our address as Label Studio reaches it.", show_default="here"
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a Label Studio project of a folder of labelled pictures, or fill one, and connect Boxstrap to it.

    Once more adds what has come since; after Ctrl-C or a failure it goes on where it ended.
    """
    from backend.labelstudio.project_client import ProjectClient
    from backend.services.importing import ImportService
    from backend.services.own_address import own_address
    from backend.services.projects import project_number
    from backend.storage.stores import open_stores
    from wsol_core.data.folder import read_folder

    settings, data = Settings.from_env(), read_folder(folder)
    number = None if project is None else project_number(project)
    url, problem = (backend_url or own_address(settings)).rstrip("/"), ""
    with closing(ProjectClient.of(settings)) as client:
        service = ImportService(settings, open_stores(settings), client)
        if dry_run:
            with spinner("Looking"):
                would = service.import_folder(folder, data, number, title, local_files, dry_run=True)
            _show_rehearsal(service, would, url, as_json)
            return
        with (
            on_interrupt("What was imported stays; the same command goes on."),
            progress_bar("Importing", len(data.samples)) as bar,
        ):
            done = service.import_folder(folder, data, number, title, local_files, bar)
        try:
            service.connect(done.project, url)
        except LabelStudioError as error:
            problem = str(error)
    page = f"{client.base_url}/projects/{done.project}"
    if as_json:
        write_json({**asdict(done), "page": page, "backend": url, "connected": not problem, "problem": problem})
        return
    warn_of(done.skipped)
    if problem:
        say(f"Not connected yet: {problem}")
    rows = {
        "tasks": f"{done.added} new, {done.known} there already",
        "classes": ", ".join(done.classes),
        "page": f"{page}/data",
        "Boxstrap": f"{url}, {'not connected yet' if problem else 'connected'}",
    }
    train = f'press "Start training" in the menu of the model on {page}/settings/ml'
    write_result(
        f"Project {done.project}, {done.title}, is {'made' if done.new else 'filled'}",
        rows,
        f"boxstrap up, which connects it; then {train}" if problem else train,
    )


def _show_rehearsal(service: ImportService, would: Imported, url: str, as_json: bool) -> None:
    connected = not would.new and service.is_connected(would.project, url)
    if as_json:
        write_json({**asdict(would), "dry_run": True, "backend": url, "connected": connected})
        return
    warn_of(would.skipped)
    config = "would get labels for new classes" if would.config_changed else "stays as it is"
    what = f"project {would.project}, {would.title}, would be filled"
    if would.new:
        config, what = "would be made", f"a project called {would.title} would be made"
    rows = {
        "tasks": f"{would.added} new, {would.known} there already",
        "classes": ", ".join(would.classes),
        "labeling config": config,
        "Boxstrap": f"{url}, {'connected already' if connected else 'would be connected'}",
    }
    write_result(f"Nothing is written; {what}", rows)
