"""`boxstrap evaluate`: measure a model on pictures whose boxes are known."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from backend.commands.options import (
    DeviceOption,
    ImagesArgument,
    JsonOption,
    ModelArgument,
    SplitOption,
    examples,
    one_of,
)
from backend.commands.training_display import duration
from backend.signals import on_interrupt
from backend.terminal import progress_bar, spinner, warn_of, write_json
from wsol_core.errors import DataError

if TYPE_CHECKING:
    from wsol_core.evaluation.evaluate import EvaluationReport
    from wsol_core.evaluation.instances import InstanceReport
    from wsol_core.evaluation.released_protocols import ReleasedReport
    from wsol_core.localization.predictor import Predictor
    from wsol_core.records import Sample

EXAMPLES = examples(
    "boxstrap evaluate model pictures --split test",
    "boxstrap evaluate model pictures --split test --report report",
    "boxstrap evaluate model cub --split test --protocol bas --threshold 0.1 --ten-crop",
    "boxstrap evaluate model pictures --json",
)
WSOLEVALUATION = "wsolevaluation"
PROTOCOLS = (WSOLEVALUATION, "bas", "ornet")
# What the terminal shows, of all and of each class; JSON and the report have everything.
COLUMNS = {
    "gt_known_loc": "GT-known\nLoc",
    "top1_loc": "Top-1\nLoc",
    "top5_loc": "Top-5\nLoc",
    "max_box_acc": "MaxBox\nAcc",
    "max_box_acc_v2": "MaxBox\nAccV2",
    "px_ap": "\nPxAP",
    "mask_iou": "mask\nIoU",
    "top1_accuracy": "class\nacc.",
}
# Of the protocols of BAS's and ORNet's releases.
RELEASED_COLUMNS = {
    "gt_known_loc": "GT-known\nLoc",
    "top1_loc": "Top-1\nLoc",
    "top5_loc": "Top-5\nLoc",
    "top1_accuracy": "class\nacc.",
    "top5_accuracy": "Top-5\nacc.",
}
# Of objects, one by one; edits are those of all classes.
OBJECT_COLUMNS = {
    "corloc": "\nCorLoc",
    "ap50": "\nAP50",
    "ap": "\nAP",
    "mask_ap50": "mask\nAP50",
    "mask_ap": "mask\nAP",
    "recall50": "recall\n.5",
    "recall80": "recall\n.8",
}
COUNT_COLUMNS = {"predicted": "found a\npicture", "true": "true a\npicture"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to measure on what, and how. `report` is the folder for the HTML report, if one is wanted."""

    model: Path
    images: Path
    split: str | None = None
    report: Path | None = None
    device: str | None = None
    protocol: str = WSOLEVALUATION
    threshold: float | None = None
    ten_crop: bool = False


def command(
    model: ModelArgument,
    images: ImagesArgument,
    split: SplitOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write an HTML report with pictures there.")
    ] = None,
    device: DeviceOption = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            callback=one_of(PROTOCOLS),
            help="Whose rules: wsolevaluation's on whole pictures; bas or ornet, that release's on centre crops.",
        ),
    ] = WSOLEVALUATION,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="T", help="Cut maps there.", show_default="the model's own; ornet: the best"
        ),
    ] = None,
    ten_crop: Annotated[bool, typer.Option("--ten-crop", help="Average class scores over ten crops.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure boxes and masks against the true ones in IMAGES/annotations.jsonl."""
    if report is not None and protocol != WSOLEVALUATION:
        raise typer.BadParameter(f"--report shows protocol {WSOLEVALUATION}, not {protocol}; leave one of them out.")
    inputs = Inputs(model, images, split, report, device, protocol, threshold, ten_crop)
    start = time.monotonic()
    with on_interrupt("Stopped; nothing was measured."):
        measured = run(inputs)
    warn_of(measured.skipped)
    page = None if report is None else report / "index.html"
    if as_json:
        write_json({**measured.to_dict(), "report": None if page is None else str(page)})
        return
    show(measured, time.monotonic() - start)
    if page is not None:
        Console(highlight=False).print(f"The report: {page}", markup=False, soft_wrap=True)


def run(inputs: Inputs) -> EvaluationReport | ReleasedReport:
    """Measure all pictures, with a bar, and write the report if one is wanted."""
    from wsol_core.data.folder import read_folder

    data = read_folder(inputs.images, inputs.split)
    warn_of(data.skipped)
    with spinner("Loading the model"):
        # Loading torch takes seconds; a wrong folder is known without it.
        from wsol_core.evaluation.evaluate import evaluate
        from wsol_core.evaluation.released_protocols import evaluate_released
        from wsol_core.localization.predictor import Predictor

        predictor = Predictor.open(inputs.model, inputs.device or "auto")
    if unknown := sorted(set(data.classes) - set(predictor.card.classes)):
        known = ", ".join(predictor.card.classes)
        raise DataError(f"The model does not know the class {unknown[0]!r} of {inputs.images}; it knows {known}.")
    with progress_bar("Measuring", len(data.samples)) as done:
        numbers = itertools.count(1)

        def on_image(*_: object) -> None:
            done(next(numbers))

        how = (inputs.threshold, inputs.ten_crop, on_image)
        if inputs.protocol != WSOLEVALUATION:
            return evaluate_released(predictor, data.samples, inputs.protocol, *how)
        measured = evaluate(predictor, data.samples, on_image, *how[:2])
    if inputs.report is not None:
        write_html(measured, predictor, data.samples, inputs.model, inputs.report)
    return measured


def write_html(
    measured: EvaluationReport, predictor: Predictor, samples: Sequence[Sample], model: Path, folder: Path
) -> None:
    """The report, with the loss curves of the model's training."""
    from wsol_core.evaluation.report import write_report
    from wsol_core.localization.model_folder import HISTORY
    from wsol_core.training.history import read_history

    with spinner("Writing the report"):
        write_report(measured, predictor, samples, folder, read_history(model / HISTORY))


def show(measured: EvaluationReport | ReleasedReport, seconds: float) -> None:
    """On stdout: localization in percent, and objects one by one where the protocol counts them."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file has no edge to break lines at
    instances = getattr(measured, "instances", None)
    columns = COLUMNS if instances is not None else RELEASED_COLUMNS
    console.print(_table(measured.metrics, getattr(measured, "per_class", {}), columns))
    found = [f"Percent. Time: {duration(seconds)}."]
    if instances is not None:
        levels = [f".{level}: {_percent(measured.metrics.get(f'max_box_acc_v2_{level}'))}" for level in (30, 50, 70)]
        swept = [_percent(measured.metrics.get(f"top{rank}_loc_swept")) for rank in (1, 5)]
        found = [f"Percent. V2 by IoU level: {', '.join(levels)}. Time: {duration(seconds)}."]
        found += [f"Top-1 and Top-5 Loc at the threshold of MaxBoxAcc: {swept[0]}, {swept[1]}."]
    found += [f"Threshold {measured.threshold:.3f}: {measured.threshold_rule}."]
    console.print("\n".join(found), markup=False, soft_wrap=True)
    if instances is not None:
        show_instances(console, instances)


def show_instances(console: Console, objects: InstanceReport) -> None:
    """The table of objects, what they cost to correct, and how many mistakes of each kind."""
    console.print()
    console.print(_table(objects.overall, objects.per_class, OBJECT_COLUMNS, COUNT_COLUMNS))
    console.print(_edits(objects.overall), soft_wrap=True)
    mistakes = [f"{kind} {found.count}" for kind, found in objects.mistakes.items() if found.count]
    console.print(f"Mistakes: {', '.join(mistakes) or 'none'}.", soft_wrap=True)


def _table(
    overall: Mapping[str, float | None],
    per_class: Mapping[str, Mapping[str, float | None]],
    shares: Mapping[str, str],
    counts: Mapping[str, str] | None = None,
) -> Table:
    """A row for all and for each class: how many pictures, `shares` in percent, then `counts`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("\nclass", overflow="fold")
    for title in ("\npictures", *shares.values(), *(counts or {}).values()):
        table.add_column(title, justify="right", no_wrap=True)
    for label, figures in {"all": overall, **per_class}.items():
        cells = [f"{figures['pictures'] or 0.0:.0f}", *(_percent(figures.get(name)) for name in shares)]
        cells += [f"{figures[name]:.2f}" for name in counts or {}]
        table.add_row(label, *cells, style="bold" if label == "all" else "")
    return table


def _edits(figures: Mapping[str, float | None]) -> str:
    """What predictions cost and save a person."""
    edits, by_hand, saved = (figures[name] or 0.0 for name in ("edits", "edits_by_hand", "edits_saved"))
    return f"Edits a picture: {edits:.2f}, by hand {by_hand:.2f}; saved {100 * saved:.1f} %."


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
