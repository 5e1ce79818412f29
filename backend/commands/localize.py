"""`boxstrap localize`: boxes, masks and polygons for a folder of pictures, into files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.options import (
    DeviceOption,
    ForceOption,
    ImagesArgument,
    JsonOption,
    ModelArgument,
    SplitOption,
    check_unwritten,
    choice,
    examples,
)
from backend.commands.training_display import duration
from backend.signals import on_interrupt
from backend.terminal import progress_bar, spinner, warn_of, write_json, write_result
from wsol_core.errors import DataError

if TYPE_CHECKING:
    from wsol_core.localization.predictions_file import PredictionSummary
    from wsol_core.records import Localization, Sample, Unreadable

EXAMPLES = examples(
    "boxstrap localize model pictures --out boxes",
    "boxstrap localize model pictures --split test --out boxes --maps",
    "boxstrap localize model unsorted --out boxes --labels predicted",
    "boxstrap localize model pictures --out boxes --all",
)
GIVEN, PREDICTED = "given", "predicted"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to localize with what, and where to write. `labels` is GIVEN, PREDICTED, or None for GIVEN where known."""

    model: Path
    images: Path
    out: Path
    split: str | None
    labels: str | None
    maps: bool
    device: str | None
    force: bool
    everything: bool
    zoom: bool | None


def command(
    model: ModelArgument,
    images: ImagesArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for predictions.jsonl and the masks.")],
    split: SplitOption = None,
    maps: Annotated[bool, typer.Option("--maps", help="Save the activation maps too, as .npy.")] = False,
    labels: Annotated[
        str | None,
        choice(
            (GIVEN, PREDICTED),
            help="Localize the class that a picture is labelled with, or the one that the model sees.",
            show_default="given where there are labels",
        ),
    ] = None,
    device: DeviceOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Write regions too whose correction costs more than they save.")
    ] = False,
    zoom: Annotated[
        bool | None,
        typer.Option(
            "--zoom/--no-zoom",
            help="Look at what is found again from closer up.",
            show_default="as the project's own pictures told after the training",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write boxes, masks and polygons of the pictures in IMAGES; they need no class folders."""
    inputs = Inputs(model, images, out, split, labels, maps, device, force, everything, zoom)
    start = time.monotonic()
    with on_interrupt(f"Stopped; {out / 'predictions.jsonl'} is written only when all pictures are done."):
        summary = run(inputs)
    if not summary.localized:
        raise DataError(f"None of the {summary.images} pictures can be read; the first: {summary.unreadable[0]}")
    warn_of(summary.unreadable)
    show_summary(summary, inputs, time.monotonic() - start, as_json)


def run(inputs: Inputs) -> PredictionSummary:
    """Localize all pictures and write the files, with a bar."""
    from wsol_core.data.folder import read_folder

    check_unwritten(inputs.out / "predictions.jsonl", inputs.force)
    data = read_folder(inputs.images, inputs.split, labelled=False)
    warn_of(data.skipped)
    with spinner("Loading the model"):
        # Loading torch takes seconds; a wrong folder is known without it.
        from wsol_core.localization.predictions_file import write_predictions
        from wsol_core.localization.predictor import Predictor, own_labels

        predictor = Predictor.open(inputs.model, inputs.device or "auto")
        if inputs.zoom is not None:
            predictor.card = replace(predictor.card, looks_closer=inputs.zoom)
    given = takes_labels(data.samples, inputs.labels)
    if given:
        check_labels(data.samples, predictor.card.classes)
    found = predictor.localize(data.samples, own_labels if given else None, inputs.maps)
    results = found if inputs.everything else map(worth_writing, found)
    with progress_bar("Localizing", len(data.samples)) as done:
        return write_predictions(results, inputs.out, inputs.maps, done, inputs.images)


def worth_writing(found: Localization | Unreadable) -> Localization | Unreadable:
    """With the regions alone that save a person more time than they cost."""
    from wsol_core.localization.worth import only_worth_showing
    from wsol_core.records import Unreadable

    return found if isinstance(found, Unreadable) else only_worth_showing(found)


def takes_labels(samples: Sequence[Sample], labels: str | None) -> bool:
    """Whether the pictures' own labels are localized: as told, else where every picture has one."""
    bare = sum(not sample.labels for sample in samples)
    if labels is None and 0 < bare < len(samples):
        warn_of([f"{bare} of the pictures have no label, so what the model sees is localized in all of them."])
    return labels == GIVEN or (labels is None and not bare)


def check_labels(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    """DataError for a picture without a label, or with one that the model does not know."""
    for sample in samples:
        if not sample.labels:
            raise DataError(f"{sample.file} has no label; put it into a class folder, or use --labels {PREDICTED}.")
        if unknown := [label for label in sample.labels if label not in classes]:
            raise DataError(
                f"{sample.file} is labelled {unknown[0]!r}, which the model does not know (it knows "
                f"{', '.join(classes)}); use --labels {PREDICTED} to localize what the model sees."
            )


def show_summary(summary: PredictionSummary, inputs: Inputs, seconds: float, as_json: bool) -> None:
    """What was written, on stdout."""
    speed = summary.localized / max(seconds, 1e-9)
    if as_json:
        facts = {
            "out": str(inputs.out),
            "pictures": summary.localized,
            "regions": summary.regions,
            "left_out": summary.left_out,
        }
        measured = {"seconds": round(seconds, 2), "images_per_s": round(speed, 2)}
        write_json({**facts, "unreadable": list(summary.unreadable), **measured})
        return
    write_result(
        f"{summary.localized} pictures localized",
        {
            "predictions": str(inputs.out / "predictions.jsonl"),
            "regions": str(summary.regions),
            "left out": f"{summary.left_out} regions that would cost more time than they save; --all writes them",
            "unreadable": str(len(summary.unreadable)),
            "time": f"{duration(seconds)} ({speed:.1f} images/s, starting included)",
        },
    )
