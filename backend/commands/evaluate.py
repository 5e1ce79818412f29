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

from backend.commands.options import DeviceOption, ImagesArgument, JsonOption, ModelArgument, SplitOption, examples
from backend.commands.training_display import duration
from backend.signals import on_interrupt
from backend.terminal import progress_bar, spinner, warn_of, write_json
from wsol_core.errors import DataError

if TYPE_CHECKING:
    from wsol_core.evaluation.evaluate import EvaluationReport
    from wsol_core.localization.predictor import Predictor
    from wsol_core.records import Sample

EXAMPLES = examples(
    "boxstrap evaluate model pictures --split test",
    "boxstrap evaluate model pictures --split test --report report",
    "boxstrap evaluate model pictures --json",
)
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
    """What to measure on what. `report` is the folder for the HTML report, if one is wanted."""

    model: Path
    images: Path
    split: str | None
    report: Path | None
    device: str | None


def command(
    model: ModelArgument,
    images: ImagesArgument,
    split: SplitOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write an HTML report with pictures there.")
    ] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure boxes and masks against the true ones in IMAGES/annotations.jsonl."""
    inputs = Inputs(model, images, split, report, device)
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


def run(inputs: Inputs) -> EvaluationReport:
    """Measure all pictures, with a bar, and write the report if one is wanted."""
    from wsol_core.data.folder import read_folder

    data = read_folder(inputs.images, inputs.split)
    warn_of(data.skipped)
    with spinner("Loading the model"):
        # Loading torch takes seconds; a wrong folder is known without it.
        from wsol_core.evaluation.evaluate import evaluate
        from wsol_core.localization.predictor import Predictor

        predictor = Predictor.open(inputs.model, inputs.device or "auto")
    if unknown := sorted(set(data.classes) - set(predictor.card.classes)):
        known = ", ".join(predictor.card.classes)
        raise DataError(f"The model does not know the class {unknown[0]!r} of {inputs.images}; it knows {known}.")
    with progress_bar("Measuring", len(data.samples)) as done:
        numbers = itertools.count(1)
        measured = evaluate(predictor, data.samples, lambda *_: done(next(numbers)))
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


def show(measured: EvaluationReport, seconds: float) -> None:
    """Two tables on stdout, of all pictures and each class: localization in percent, then objects one by one."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file has no edge to break lines at
    console.print(_table(measured.metrics, measured.per_class, COLUMNS))
    levels = [f".{level}: {_percent(measured.metrics.get(f'max_box_acc_v2_{level}'))}" for level in (30, 50, 70)]
    console.print(f"Percent. V2 by IoU level: {', '.join(levels)}. Time: {duration(seconds)}.", soft_wrap=True)
    console.print(f"Threshold {measured.threshold:.3f}: {measured.threshold_rule}.", markup=False, soft_wrap=True)
    objects = measured.instances
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
