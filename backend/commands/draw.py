"""`boxstrap draw`: a folder of drawn pictures with exact boxes and masks, to try everything on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.options import JsonOption, examples
from backend.signals import on_interrupt
from backend.terminal import progress_bar, write_json, write_result

EXAMPLES = examples(
    "boxstrap draw pictures",
    "boxstrap draw pictures --touching --images 40 --seed 7",
    "boxstrap draw pictures --defects --classes 6",
)


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    classes: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes.")] = 4,
    images: Annotated[int, typer.Option(min=1, metavar="N", help="How many pictures; a quarter is for testing.")] = 200,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="The same seed draws the same pictures.")] = 0,
    touching: Annotated[
        bool,
        typer.Option(
            "--touching",
            help="Two to six animals a picture, of several classes; half of them touch one of their class.",
        ),
    ] = False,
    small: Annotated[
        bool, typer.Option("--small", help="Larger pictures of animals that take only .3 to 2 % of them.")
    ] = False,
    defects: Annotated[
        bool,
        typer.Option(
            "--defects",
            help="One to five scratches, spots, inclusions or cracks anywhere on steel, tiles, concrete or paint.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw a data set with exact boxes and masks: animals on cluttered ground, or defects of surfaces."""
    if touching + small + defects > 1:
        raise typer.BadParameter("give one of --touching, --small and --defects: each is a set of its own.")
    from wsol_core.synthetic.dataset import Subject, draw_folder

    subject: Subject = "defects" if defects else "small" if small else "animals"

    start = time.monotonic()
    stopped = f"Stopped; {folder} holds part of the pictures. Delete it before drawing again."
    with on_interrupt(stopped), progress_bar("Drawing", images) as done:
        draw_folder(folder, classes, images, seed, on_image=done, touching=float(touching), subject=subject)
    seconds = time.monotonic() - start
    if as_json:
        facts = {"folder": str(folder), "images": images, "classes": classes, "seed": seed, "touching": touching}
        write_json({**facts, "subject": subject, "seconds": round(seconds, 2)})
        return
    write_result(
        f"{images} pictures drawn",
        {"folder": str(folder), "classes": str(classes), "seed": str(seed), "time": f"{seconds:.1f} s"},
        f"boxstrap train {folder} --out MODEL --backbone tiny --minutes 3",
    )
