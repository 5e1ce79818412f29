"""`boxstrap draw`: a folder of drawn pictures with exact boxes and masks, to try everything on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.options import JsonOption, examples
from backend.signals import on_interrupt
from backend.terminal import progress_bar, write_json, write_result

EXAMPLES = examples("boxstrap draw pictures", "boxstrap draw pictures --touching --images 40 --seed 7")


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
    as_json: JsonOption = False,
) -> None:
    """Draw a data set: animals on cluttered ground, with exact boxes and masks."""
    from wsol_core.synthetic.dataset import draw_folder

    start = time.monotonic()
    stopped = f"Stopped; {folder} holds part of the pictures. Delete it before drawing again."
    with on_interrupt(stopped), progress_bar("Drawing", images) as done:
        draw_folder(folder, classes, images, seed, on_image=done, touching=float(touching))
    seconds = time.monotonic() - start
    if as_json:
        facts = {"folder": str(folder), "images": images, "classes": classes, "seed": seed, "touching": touching}
        write_json({**facts, "seconds": round(seconds, 2)})
        return
    write_result(
        f"{images} pictures drawn",
        {"folder": str(folder), "classes": str(classes), "seed": str(seed), "time": f"{seconds:.1f} s"},
        f"boxstrap train {folder} --out MODEL --backbone tiny --minutes 3",
    )
