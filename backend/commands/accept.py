"""`boxstrap accept`: predictions that people's corrections show to be safe become annotations, without a look."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.options import DryRunOption, JsonOption, ProjectArgument, examples
from backend.settings import Settings
from backend.signals import on_interrupt
from backend.terminal import progress_bar, write_json, write_result
from backend.wording import counted

if TYPE_CHECKING:
    from backend.services.acceptance import AcceptanceService

RISK, AUDIT = 0.02, 0.1
EXAMPLES = examples(
    "boxstrap accept 7 --dry-run", "boxstrap accept 7", "boxstrap accept 7 --risk 0.05", "boxstrap accept 7 --undo"
)


def command(
    project: ProjectArgument,
    risk: Annotated[
        float,
        typer.Option("--risk", metavar="SHARE", min=0.001, max=0.999, help="Share of tasks that may be wrong."),
    ] = RISK,
    audit: Annotated[
        float,
        typer.Option(
            "--audit", metavar="SHARE", min=0.0, max=0.999, help="Share of tasks that stays open for people to judge."
        ),
    ] = AUDIT,
    undo: Annotated[
        bool, typer.Option("--undo", help="Delete what was accepted so and that nobody has saved since.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Accept the live version's predictions from that score on from which people found hardly any wrong.

    They become annotations of the token's user. Tasks that anybody has worked on are left alone, and a share of the
    others stays open: what people make of those says whether the rest was right.
    """
    from backend.labelstudio.annotation_client import AnnotationClient
    from backend.services.acceptance import AcceptanceService
    from backend.services.projects import project_number
    from backend.storage.stores import open_stores

    settings, number = Settings.from_env(), project_number(project)
    with closing(AnnotationClient.of(settings)) as client:
        service = AcceptanceService(open_stores(settings), client)
        tasks = int(client.project(number).get("task_number") or 0)
        if undo:
            _undo(service, number, tasks, dry_run, as_json)
        else:
            _accept(service, number, tasks, risk, audit, dry_run, as_json)


def _accept(
    service: AcceptanceService, number: str, tasks: int, risk: float, audit: float, dry_run: bool, as_json: bool
) -> None:
    measured = service.measure(number, risk, audit)
    with (
        on_interrupt("What was accepted stays; the same command goes on, and --undo takes it back."),
        progress_bar("Accepting", tasks) as bar,
    ):
        done = service.accept(number, measured, audit, bar, dry_run)
    if as_json:
        write_json({"project": number, "dry_run": dry_run, "risk": risk, **asdict(measured), **asdict(done)})
        return
    would = "would be accepted" if dry_run else "accepted"
    rows = {
        would: counted(done.accepted, "task"),
        "kept for people": f"{counted(done.kept, 'task')}; of such ones {measured.audited} are judged, "
        f"{measured.audited_wrong} wrong",
        "below the score": counted(done.below, "task"),
        "left alone": f"{counted(done.others, 'task')}, worked on or without a prediction of {measured.version}",
    }
    write_result(measured.sentence, rows, f"boxstrap accept {number}" if dry_run and done.accepted else "")


def _undo(service: AcceptanceService, number: str, tasks: int, dry_run: bool, as_json: bool) -> None:
    with (
        on_interrupt("What was deleted stays so; the same command goes on."),
        progress_bar("Undoing", tasks) as bar,
    ):
        deleted = service.undo(number, bar, dry_run)
    if as_json:
        write_json({"project": number, "dry_run": dry_run, "deleted": deleted})
        return
    would = "would be" if dry_run else "are"
    write_result(
        f"{counted(deleted, 'annotation')} of project {number} that nobody has saved since {would} deleted", {}
    )
