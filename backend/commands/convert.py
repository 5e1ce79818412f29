"""`boxstrap convert`: a published data set becomes a folder of labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.commands.options import JsonOption, examples
from backend.signals import on_interrupt
from backend.terminal import spinner, write_json, write_result

KINDS = ("cub", "ilsvrc", "wsolevaluation", "voc", "coco")
EXAMPLES = examples(
    "boxstrap convert cub CUB_200_2011 --out cub",
    "boxstrap convert ilsvrc ILSVRC --out imagenet",
    "boxstrap convert wsolevaluation wsolevaluation --out openimages",
)


def command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"Layout of the data set: {', '.join(KINDS)}.")],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder that the data set unpacks to.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for annotations.jsonl and links.")],
    as_json: JsonOption = False,
) -> None:
    """Write an annotations.jsonl for a published data set; its pictures are linked, not copied."""
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is unknown; choose one of {', '.join(KINDS)}.", param_hint="'KIND'")
    from wsol_core.datasets.convert import convert

    with on_interrupt("Stopped; nothing was written."), spinner(f"Reading {source}"):
        done = convert(kind, source, out)
    values = {"out": str(out), "images": dict(done.images), "classes": done.classes, "objects": done.objects}
    if as_json:
        write_json(values)
        return
    splits = {f"pictures, {split}": str(count) for split, count in done.images.items()}
    facts = {"folder": str(out), **splits, "classes": str(done.classes), "boxes": str(done.objects)}
    write_result(f"{kind} converted", facts, f"boxstrap train {out} --out model")
