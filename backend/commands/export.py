"""`boxstrap export`: a project, or a file of predictions, in the formats of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.commands.options import ForceOption, JsonOption, choice, examples
from backend.errors import LabelStudioError
from backend.settings import Settings
from backend.signals import on_interrupt
from backend.terminal import progress_bar, say, warn_of, write_json, write_result
from wsol_core.errors import ConfigError

if TYPE_CHECKING:
    from wsol_core.exports.export_folder import Exported
    from wsol_core.exports.formats import OpenFormat

FORMATS = ("coco", "yolo", "yolo-seg", "voc", "label-studio", "csv")
LABEL_STUDIO = "label-studio"
EXAMPLES = examples(
    "boxstrap export 7 --format coco --out animals",
    "boxstrap export 7 --format yolo --out animals --take annotations --pictures link",
    "boxstrap export boxes/predictions.jsonl --format label-studio --out import",
)


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options, checked."""

    kind: str
    out: Path
    take: str
    pictures: str
    masks: str
    min_score: float
    images: Path | None
    label_config: Path | None
    image_url: str | None
    force: bool


def command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Number of a Label Studio project, or a predictions.jsonl.")
    ],
    kind: Annotated[str, choice(FORMATS, "--format", help="What to write.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder, or an older export with --force.")],
    take: Annotated[
        str,
        choice(
            ("annotations", "predictions", "both"),
            help="Of a project: what people left, predictions, or predictions where nobody has reviewed them.",
        ),
    ] = "both",
    pictures: Annotated[
        str,
        choice(("copy", "link", "none"), help="Copy the pictures, link them, or leave them out."),
    ] = "copy",
    masks: Annotated[
        str,
        choice(
            ("polygons", "rle"),
            help="Of coco: outlines, which every reader knows, or run lengths, exact to the pixel.",
        ),
    ] = "polygons",
    min_score: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Leave out predicted objects that score less.")
    ] = 0.0,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the pictures that a predictions.jsonl names, if they moved."),
    ] = None,
    label_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labeling config for predictions; by default choices, boxes and masks."),
    ] = None,
    image_url: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Of label-studio: what stands before a picture's name in its address.",
            show_default="/data/local-files/?d=images/",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a data set for other programs: boxes and masks of a project or of `boxstrap localize`."""
    options = Options(kind, out, take, pictures, masks, min_score, images, label_config, image_url, force)
    from wsol_core.exports.export_folder import check_free

    check_free(out, force)
    with on_interrupt(f"Stopped; {out} is as it was before."):
        done, notes = _of_project(source, options) if source.isdecimal() else _of_file(Path(source), options)
    warn_of(notes)
    if as_json:
        write_json({"out": str(out), "format": kind, "images": done.images, "objects": done.objects, "notes": notes})
        return
    _show(done, options)


def _of_project(source: str, options: Options) -> tuple[Exported, list[str]]:
    from backend.exports.project import ProjectReader
    from backend.exports.task_objects import Take
    from backend.images.image_store import ImageStore
    from backend.labelstudio.client import LabelStudioClient

    settings = Settings.from_env()
    if not (settings.label_studio_url and settings.label_studio_api_key):
        raise LabelStudioError(
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not both set, so the project cannot be read; set both."
        )
    client = LabelStudioClient(settings.label_studio_url, settings.label_studio_api_key)
    try:
        media, take = ImageStore.from_settings(settings, client), Take(options.take)
        reader = ProjectReader(client, media, source, take, options.min_score, options.pictures != "none")
        reader.everything = options.kind == LABEL_STUDIO
        title, shown = str(reader.project.get("title", "")), str(reader.project.get("model_version") or "")
        keeps_addresses = options.pictures == "none" and options.image_url is None
        prefix = None if keeps_addresses else _prefix(options)
        config = str(reader.project.get("label_config", ""))
        begin = _open_format(options, config, prefix, shown, take)
        about = {"project": int(source), "title": title, "take": options.take}
        with progress_bar("Exporting", reader.project.get("task_number")) as on_image:
            done = _write(reader.images(), reader.classes, begin, options, about, on_image)
    finally:
        client.close()
    notes = list(reader.skipped)
    if reader.unreviewed:
        notes.append(f"Tasks that nobody has reviewed, without a predicted object, are left out: {reader.unreviewed}.")
    return done, notes


def _of_file(source: Path, options: Options) -> tuple[Exported, list[str]]:
    from wsol_core.exports.from_predictions import PredictionsSource

    if not source.exists():
        raise ConfigError(
            f"{source} is neither a project's number nor a predictions.jsonl; name one of them, or its folder."
        )
    found = PredictionsSource.open(source, options.images)
    config = None if options.label_config is None else options.label_config.read_text(encoding="utf-8")
    begin = _open_format(options, config, _prefix(options), "boxstrap", None, found.classes)
    about = {"predictions": str(source)}
    with progress_bar("Exporting", None) as on_image:
        done = _write(found.exported(options.min_score), found.classes, begin, options, about, on_image)
    notes = list(found.skipped)
    if found.images is None and options.pictures != "none":
        notes.append(f"{source} does not say where its pictures are, so none is exported; name their folder: --images.")
    return done, notes


def _write(
    images: Any, classes: Sequence[str], begin: OpenFormat, options: Options, about: Any, on_image: Any
) -> Exported:
    from wsol_core.exports.export_folder import Pictures, write_dataset

    return write_dataset(
        images,
        classes,
        begin,
        options.out,
        pictures=Pictures(options.pictures),
        replace=options.force,
        about={"format": options.kind, **about},
        on_image=on_image,
    )


def _open_format(
    options: Options, config: str | None, prefix: str | None, version: str, take: Any, classes: Sequence[str] = ()
) -> OpenFormat:
    from wsol_core.exports.coco import CocoFormat
    from wsol_core.exports.formats import FORMATS as KNOWN

    if options.kind == LABEL_STUDIO:
        from backend.exports.label_studio import config_of, opener
        from backend.exports.task_objects import Take

        return opener(config or config_of(classes), prefix, version, take or Take.BOTH, options.min_score)
    if options.kind == "coco" and options.masks == "rle":
        return CocoFormat.with_run_lengths
    return KNOWN[options.kind]


def _prefix(options: Options) -> str:
    from backend.exports.label_studio import LOCAL_FILES

    return LOCAL_FILES if options.image_url is None else options.image_url


def _show(done: Exported, options: Options) -> None:
    splits = {f"pictures, {split}": str(count) for split, count in done.images.items()}
    sources = {f"objects, {source}": str(count) for source, count in done.objects.items() if count}
    facts = {"folder": str(options.out), **splits, "without objects": str(done.empty), **sources}
    write_result(f"Exported as {options.kind}", facts)
    if options.kind.startswith("yolo") and not {"val", "valid", "test"} & set(done.images):
        say("No picture is kept apart, so data.yaml validates on those that it trains on.", "Warning", "yellow")
