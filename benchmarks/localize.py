"""From JPEG files to predictions.jsonl and mask PNGs, as a ratio to the stock backbone's bare forward at batch 32.

    python -m benchmarks.localize [--backbone mobilenet_v2] [--pictures 256]

Untrained weights do: what is measured does not depend on what the maps show, but for graph cuts, which take longer on
undecided maps. An untrained instance head finds no object, so the connected parts of maps are what is cut out. A
trained model's folder can be named instead with --model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
import torchvision

from benchmarks.timing import machine, seconds
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictions_file import write_predictions
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.methods.build import build_method
from wsol_core.synthetic.dataset import draw_folder

CLASSES, BATCH, SIDE_PX = 5, 32, 224


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--model", type=Path, help="a trained model's folder")
    parser.add_argument("--images", type=Path, help="a data folder; drawn pictures by default")
    arguments = parser.parse_args()
    device = choose_device("auto")
    dtype = choose_precision(device, "auto")
    with tempfile.TemporaryDirectory() as folder:
        images = arguments.images
        if images is None:
            images = Path(folder) / "pictures"
            draw_folder(images, classes=CLASSES, images=arguments.pictures, seed=0, sides_px=(375, 500))
        predictor = open_predictor(arguments.model, arguments.backbone)
        samples = read_folder(images).samples[: arguments.pictures]
        for _ in predictor.localize(samples[:BATCH], classes_of=own_labels):
            pass
        start = time.perf_counter()
        write_predictions(predictor.localize(samples, classes_of=own_labels), Path(folder) / "out", maps=False)
        rate = len(samples) / (time.perf_counter() - start)
    bare = BATCH / seconds(bare_forward(arguments.backbone, device, dtype))
    print(f"{machine()}, {arguments.backbone}, {len(samples)} pictures, {dtype}")
    print("| what | images/s | ratio |\n|---|---|---|")
    print(f"| stock backbone, forward at batch {BATCH} | {bare:.0f} | 1.00 |")
    print(f"| localize, files to files | {rate:.0f} | {rate / bare:.3f} |")


def open_predictor(model: Path | None, backbone: str, side_px: int = SIDE_PX) -> Predictor:
    """A trained model's predictor, or one of fresh weights."""
    if model is not None:
        return Predictor.open(model)
    torch.manual_seed(0)
    method = build_method("boxstrap", backbone, CLASSES, multi_label=False)
    method.begin_stage(method.judged_stage())
    from wsol_core.synthetic.bodies import CLASS_NAMES

    card = ModelCard(
        config=TrainConfig(backbone=backbone, side_px=side_px),
        classes=tuple(sorted(CLASS_NAMES[:CLASSES])),
        multi_label=False,
        threshold=0.5,
        threshold_rule="none: untrained",
    )
    return Predictor(method, card)


def bare_forward(backbone: str, device: torch.device, dtype: torch.dtype):  # type: ignore[no-untyped-def]
    """The stock network's forward as a callable."""
    stock = getattr(torchvision.models, backbone)(weights=None).to(device, memory_format=torch.channels_last).eval()
    images = torch.randn(BATCH, 3, SIDE_PX, SIDE_PX, device=device).to(memory_format=torch.channels_last)

    def call() -> None:
        with torch.no_grad(), autocast(device, dtype):
            stock(images)

    return call


if __name__ == "__main__":
    main()
