"""`boxstrap masks`: each box that people drew without a mask gets one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from backend.commands.options import DryRunOption, JsonOption, ProjectArgument, choice, examples
from backend.settings import PREANNOTATE_AS
from backend.signals import on_interrupt
from backend.terminal import progress_bar, write_json, write_result
from backend.wording import counted

EXAMPLES = examples("boxstrap masks 7 --dry-run", "boxstrap masks 7", "boxstrap masks 7 --as prediction")


def command(
    project: ProjectArgument,
    shown_as: Annotated[
        str | None,
        choice(
            PREANNOTATE_AS,
            "--as",
            help="As drafts of your own annotations and predictions for those of others, or as predictions alone.",
            show_default="PREANNOTATE_AS",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find a mask for each box that people drew without one, and write it beside the box into Label Studio.

    Nothing counts before a person has submitted it. The same command again does what has come since.
    """
    from backend.jobs.context import job_context
    from backend.jobs.draw_masks import draw_masks
    from backend.services.projects import project_number

    context, number = job_context(), project_number(project)
    as_drafts = (shown_as or context.settings.preannotate_as) == "draft"
    tasks = int(context.label_studio().project(number).get("task_number") or 0)
    with (
        on_interrupt("What was written stays; the same command goes on."),
        progress_bar("Drawing masks", tasks) as bar,
    ):
        done = draw_masks(context, number, as_drafts, bar, dry_run)
    if as_json:
        write_json({"project": number, "dry_run": dry_run, **asdict(done)})
        return
    rows = {
        "drafts": f"{counted(done.drafts, 'task')}, of your own annotations: submit them with Update",
        "predictions": f"{counted(done.predictions, 'task')}: copy them in the editor, and submit",
        "there already": counted(done.known, "task"),
    }
    if done.unreadable:
        rows["left out"] = f"{counted(done.unreadable, 'task')}, whose picture cannot be read"
    would = "would get a mask" if dry_run else "have a mask now"
    write_result(f"{counted(done.masks, 'box', 'boxes')} of project {number} {would}", rows)
