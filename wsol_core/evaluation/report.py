"""The HTML report of an evaluation: figures, loss curves, and images, worst first.

One folder, nothing loaded from elsewhere. See evaluate.py for what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from wsol_core.data.images import RgbPixels, open_image
from wsol_core.errors import StorageError
from wsol_core.evaluation.evaluate import EvaluationReport, ImageResult
from wsol_core.evaluation.loss_plot import loss_curves
from wsol_core.evaluation.overlay import draw_heatmap, draw_overlay
from wsol_core.evaluation.page import header, stylesheet
from wsol_core.evaluation.report_mistakes import mistake_sections, write_jpeg
from wsol_core.files import next_step
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Localization, Sample

WORST, BEST = 48, 12
IMAGES = "pictures"  # the folder beside the page
IMAGE_PX = 320  # the longer side of the report's images
NAMES = {
    "gt_known_loc": "GT-known Loc",
    "top1_loc": "Top-1 Loc",
    "top5_loc": "Top-5 Loc",
    "top1_loc_swept": "Top-1 Loc, swept",
    "top5_loc_swept": "Top-5 Loc, swept",
    "top1_accuracy": "class accuracy (top 1)",
    "top5_accuracy": "class accuracy (top 5)",
    "mask_iou": "mean mask IoU",
    "max_box_acc": "MaxBoxAcc",
    "max_box_acc_v2": "MaxBoxAccV2",
    "max_box_acc_v2_30": "&emsp;at IoU 0.3",
    "max_box_acc_v2_50": "&emsp;at IoU 0.5",
    "max_box_acc_v2_70": "&emsp;at IoU 0.7",
    "px_ap": "PxAP",
    "p_iou": "PIoU",
    "pictures": "images",
    "corloc": "CorLoc",
    "corloc_top": "CorLoc of the best",
    "ap50": "AP50",
    "ap": "AP",
    "mask_ap50": "mask AP50",
    "mask_ap": "mask AP",
    "recall50": "recall at IoU .5",
    "recall80": "recall at IoU .8",
    "predicted": "predicted an image",
    "shown": "shown an image",
    "true": "true an image",
    "edits": "edits an image",
    "edits_by_hand": "edits by hand",
    "edits_saved": "edits saved",
}


def write_report(
    report: EvaluationReport,
    predictor: Predictor,
    samples: Sequence[Sample],
    folder: Path,
    history: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Writes `folder/index.html` with its images beside it and returns its path.

    Args: samples: those that were measured; the shown ones are localized once more. history: of the training.
    Raises: StorageError where something cannot be written.
    """
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        cards = "\n".join(_cards(report, predictor, samples, folder))
        page = Template(_PAGE).substitute(
            title=escape(f"{predictor.card.config.method} on {predictor.card.config.backbone}"),
            style=stylesheet() + _STYLE,
            header=header("How well the model localizes"),
            metrics=_metric_table(report.metrics),
            classes=_class_table(report.per_class, "Localization by class"),
            objects=_metric_table(report.instances.overall),
            object_classes=_class_table(report.instances.per_class, "Objects by class"),
            mistakes=mistake_sections(report.instances.mistakes, samples, folder / IMAGES, IMAGES),
            threshold=f"{report.threshold:.2f}: {escape(report.threshold_rule)}",
            protocol="".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in report.protocol.items()),
            curves=loss_curves(history),
            skipped=_skipped(report.skipped),
            cards=cards,
        )
        index = folder / "index.html"
        index.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The report could not be written to {folder}: {error.strerror or error}; {next_step(error)}."
        ) from error
    return index


def shown(images: Sequence[ImageResult]) -> list[ImageResult]:
    """The worst and a few of the best of `images`, which come worst first."""
    return list(images) if len(images) <= WORST + BEST else [*images[:WORST], *images[-BEST:]]


def _cards(report: EvaluationReport, predictor: Predictor, samples: Sequence[Sample], folder: Path) -> list[str]:
    by_file = {sample.file: sample for sample in samples}
    chosen = shown(report.images)
    label_of = {result.file: [other.label for other in chosen if other.file == result.file] for result in chosen}
    again = predictor.localize(
        [by_file[file] for file in label_of], classes_of=lambda sample: label_of[sample.file], with_maps=True
    )
    found = {result.file: result for result in again if isinstance(result, Localization)}
    cards = []
    for number, result in enumerate(chosen):
        if result.file in found:
            sample, localization = by_file[result.file], found[result.file]
            for kind, pixels in _images(sample, localization, result.label).items():
                write_jpeg(folder / IMAGES / f"{number:03d}-{kind}.jpg", pixels)
            cards.append(_card(number, result, localization))
    return cards


def _images(sample: Sample, found: Localization, label: str) -> dict[str, RgbPixels]:
    """The image with masks and boxes, and with the activation map over it; by what their files are called."""
    image = open_image(sample.path)
    scale = IMAGE_PX / max(image.shape[:2])
    size_wh = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    own = [region for region in found.regions if region.label == label]
    mask = np.logical_or.reduce([region.mask for region in own]) if own else None
    boxes, true_boxes = (
        [region.box_xyxy for region in regions] for regions in (own, [r for r in sample.truth if r.label == label])
    )
    overlay = draw_overlay(image, size_wh, mask, boxes, true_boxes)
    return {"overlay": overlay, "map": draw_heatmap(image, size_wh, found.maps[label])}


def _card(number: int, result: ImageResult, found: Localization) -> str:
    alt = escape(f"{result.file}: predicted and true box of {result.label}", quote=True)
    scores = [region.score for region in found.regions if region.label == result.label]
    facts = [f"box IoU {result.iou:.2f}"]
    if result.mask_iou is not None:
        facts.append(f"mask IoU {result.mask_iou:.2f}")
    facts.append(f"score {max(scores):.2f}" if scores else "nothing found")
    taken_for = "" if result.top1 else f" <em>taken for {escape(result.predicted)}</em>"
    kind = "good" if result.iou >= 0.5 else "bad"
    return (
        f'<figure class="{kind}"><div><img loading="lazy" src="{IMAGES}/{number:03d}-overlay.jpg" alt="{alt}">'
        f'<img loading="lazy" src="{IMAGES}/{number:03d}-map.jpg" alt="activation map of the same image"></div>'
        f"<figcaption><b>{escape(result.label)}</b>{taken_for}<span>{' · '.join(facts)}</span>"
        f"<small>{escape(result.file)}</small></figcaption></figure>"
    )


def _number(value: float | None, name: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if name == "pictures" else f"{value:.3f}"


def _metric_table(figures: Mapping[str, float | None]) -> str:
    rows = (
        f'<tr><th scope="row">{NAMES.get(n, escape(n))}</th><td>{_number(v, n)}</td></tr>' for n, v in figures.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _class_table(per_class: Mapping[str, Mapping[str, float | None]], what: str) -> str:
    names = list(next(iter(per_class.values())))
    head = "".join(f'<th scope="col" class="number">{NAMES.get(name, escape(name))}</th>' for name in names)
    rows = []
    for label, row in per_class.items():
        cells = "".join(f"<td>{_number(row[name], name)}</td>" for name in names)
        rows.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    table = f'<table><thead><tr><th scope="col">class</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide" tabindex="0" role="region" aria-label="{what}">{table}</div>'


def _skipped(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons[:20])
    more = f"<li>and {len(reasons) - 20} more</li>" if len(reasons) > 20 else ""
    return f"<h2>Not measured</h2><ul>{items}{more}</ul>"


_STYLE = """
.top-figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:0 1rem}
.top-figures table,.wide table{width:auto}th{font-weight:400}
td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td,th{padding-right:1.2rem}
h3{margin-top:.6rem}h3 span{color:var(--muted);font-weight:400}
.protocol{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;font-size:.9rem}
.protocol dt{font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:1rem}
.cards.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
.cards figure{gap:0;border:1px solid var(--line);border-top:3px solid var(--a);border-radius:6px;overflow:hidden}
.cards figure.bad{border-top-color:var(--d)}.cards figure div{display:grid;grid-template-columns:1fr 1fr;gap:2px}
.cards img{width:100%;display:block;aspect-ratio:4/3;object-fit:contain;background:#000}
.cards figcaption{padding:.5rem .8rem .7rem;color:var(--text);font-size:.9rem}
.cards figcaption span,.cards figcaption small{display:block;color:var(--muted)}
.cards em{color:var(--danger);font-style:normal}small{overflow-wrap:anywhere}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Boxstrap: $title</title><style>$style</style></head><body>
$header
<main>
<div class="intro"><h1>$title</h1><p class="muted">Threshold $threshold.</p></div>
<div class="top-figures"><section class="card"><h2>Localization</h2>$metrics</section>
<section class="card"><h2>Objects, one by one</h2>$objects</section>
<section class="card"><h2>Training losses</h2>$curves</section></div>
<section class="card"><h2>Localization by class</h2>$classes</section>
<section class="card"><h2>Objects by class</h2>$object_classes</section>
<section class="card"><h2>Mistakes, the worst images of each kind</h2>
<p class="muted"><i class="key predicted"></i>predicted box <i class="key true"></i>true box,
thick lines: the mistake; thin lines: the other boxes</p>
$mistakes</section>
<section class="card"><h2>Images, worst first</h2>
<p class="muted"><i class="key predicted"></i>predicted box <i class="key true"></i>true box
<i class="key mask"></i>predicted mask; right: activation map</p>
<div class="cards">$cards</div>$skipped</section>
<section class="card"><h2>Protocol</h2><dl class="protocol">$protocol</dl></section>
</main></body></html>
"""
