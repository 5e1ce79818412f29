"""Train on a folder of labelled images, localize the objects, and draw their boxes and outlines.

    python examples/train_on_folder.py pictures --out trained --minutes 10
    python examples/train_on_folder.py --out trained --backbone tiny --minutes 3    # draws pictures of its own first

The folder has a sub-folder of images per class, or an annotations.jsonl. No boxes are needed: classes are enough.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from wsol_core import (
    Localization,
    Predictor,
    Progress,
    Sample,
    TrainConfig,
    TrainingHooks,
    Unreadable,
    draw_folder,
    fit,
    read_folder,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, localize, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=Path, help="folder of labelled images; without one, some are drawn")
    parser.add_argument("--out", type=Path, default=Path("trained"), help="folder for the model and the drawings")
    parser.add_argument("--backbone", default="mobilenet_v2", help="tiny needs no pretrained weights")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--count", type=int, default=60, help="how many images are drawn")
    given = parser.parse_args(arguments)

    images = given.images or given.out / "images"
    if given.images is None:
        draw_folder(images, classes=3, images=given.count, seed=0)
    data = read_folder(images)
    config = TrainConfig(backbone=given.backbone, epochs=given.epochs, minutes=given.minutes)
    model = given.out / "model"
    fit(config, data.samples, data.classes, model, hooks=TrainingHooks(on_progress=show_progress))

    predictor = Predictor.open(model)
    for sample, found in zip(data.samples, predictor.localize(data.samples), strict=True):
        if isinstance(found, Unreadable):
            print(found.reason)
        else:
            draw(sample, found, (given.out / "drawn" / found.file).with_suffix(".jpg"))


def show_progress(step: Progress) -> None:
    """Say after every step where the training is."""
    print(f"{step.stage}: step {step.step} of {step.steps}, {step.seconds_left:.0f} s left")


def draw(sample: Sample, found: Localization, path: Path) -> None:
    """Write the image with a box and an outline around every object. Boxes are in pixels of the upright image."""
    image = ImageOps.exif_transpose(Image.open(sample.path)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for region in found.regions:
        pen.rectangle(region.box_xyxy, outline="yellow", width=3)
        if region.polygon:
            pen.polygon(region.polygon, outline="deeppink", width=2)
        pen.text(region.box_xyxy[:2], f"{region.label} {region.score:.2f}", fill="white")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


if __name__ == "__main__":
    main()
