"""`boxstrap models export`: a model as a graph, for programs without Boxstrap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.commands.options import ForceOption, JsonOption, check_unwritten, choice, examples
from backend.errors import NotFoundError
from backend.settings import Settings
from backend.terminal import spinner, warn_of, write_json, write_result

KINDS = ("onnx", "torchscript")
EXAMPLES = examples(
    "boxstrap models export model --format onnx --out model.onnx",
    "boxstrap models export 7 --format torchscript --out live.pt",
    "boxstrap models export 7:boxstrap-7-0002 --format onnx --out second.onnx",
)


def command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model's folder, or PROJECT[:VERSION]; without one the live version."),
    ],
    kind: Annotated[str, choice(KINDS, "--format", help="What to write.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model as ONNX or TorchScript: pictures in, class scores, maps and objects out."""
    check_unwritten(out, force)
    folder = folder_of(model)
    with spinner("Exporting"):
        from wsol_core.exports.graph import KINDS as EXPORTERS

        card = EXPORTERS[kind](folder, out)
    if as_json:
        write_json({"model": str(folder), "format": kind, "out": str(out), "classes": list(card.classes)})
        return
    warn_of(card.faults)
    facts = {"file": str(out), "of": str(folder), "size": f"{out.stat().st_size / 2**20:.1f} MB"}
    write_result(f"{card.config.method} on {card.config.backbone}, as {kind}", facts)


def folder_of(model: str) -> Path:
    """The model folder that MODEL names: itself one, or a project and perhaps a version, by its name or its number."""
    if (folder := Path(model)).is_dir():
        return folder
    project, _, version = model.partition(":")
    if not project.isdecimal():
        raise NotFoundError(
            f"{model} is no folder, and no PROJECT or PROJECT:VERSION; `boxstrap models list` has them."
        )
    from backend.storage.stores import open_stores

    models = open_stores(Settings.from_env()).models
    if version.isdecimal():
        version = f"boxstrap-{project}-{int(version):04}"
    if not version and (version := models.current(project) or "") == "":
        raise NotFoundError(f"Project {project} has no live version; train one, or name another project.")
    return models.folder(project, version)
