"""Which backbone, and which weights, a project should begin with: trainings of equal minutes on its own pictures.

    python -m benchmarks.backbones DATA --minutes 10 --seeds 3 --backbone mobilenet_v2 --backbone resnet18=r18.pt \\
        --backbone timm:tf_efficientnet_lite0=lite0.pt --backbone timm:vit_small_patch14_dinov2=dinov2_vits14.pth

DATA is a folder with annotations.jsonl. Each training learns from the labels of its train split and is measured on its
test split. NAME=FILE begins with the weights of a file; NAME alone with those that the folder of weights or a download
has. The backbones take turns, seed by seed, so that a slow hour of the machine is everybody's. Rows are printed as they
come, and at last each backbone's mean and, after ±, half of how far its seeds are apart.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.ablation_measures import NAMES, OBJECT_NAMES, measure
from benchmarks.timing import machine
from wsol_core.config import TrainConfig
from wsol_core.data.folder import find_images, read_folder
from wsol_core.errors import WsolError
from wsol_core.localization.model_folder import load_model
from wsol_core.training.fit import fit

COLUMNS = ("steps", "million parameters", "pictures/s measured", *NAMES, *OBJECT_NAMES)


def main() -> int:
    """Prints the tables; 1 where a backbone could not be trained."""
    given = parse(sys.argv[1:])
    logging.disable(logging.INFO)
    print(f"{machine()}; {given.data.name}, {given.minutes:g} minutes; `{' '.join(sys.argv[1:])}`\n")
    print(f"| backbone | seed | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}", flush=True)
    rows: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    failed: dict[str, str] = {}
    for seed in range(given.seeds):
        for named in given.backbone:
            if named in failed:
                continue
            try:
                row = trained(given, named, seed)
            except WsolError as error:
                failed[named] = str(error)
                continue
            rows[named].append(row)
            print(f"| {named} | {seed} | {' | '.join(f'{row[name]:.3g}' for name in COLUMNS)} |", flush=True)
    print(f"\n| backbone | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for named, found in rows.items():
        print(f"| {named} | {' | '.join(summary([row[name] for row in found]) for name in COLUMNS)} |")
    for named, why in failed.items():
        print(f"\n{named} was not trained: {why}", file=sys.stderr)
    return int(bool(failed))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder with annotations.jsonl")
    parser.add_argument("--backbone", action="append", required=True, metavar="NAME[=FILE]", help="repeatable")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--side", type=int, default=TrainConfig().side_px, help="of training images, in pixels")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="the folder of pretrained weights")
    parser.add_argument("--backgrounds", type=Path, metavar="DIR", help="images without any object")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(arguments)


def trained(given: argparse.Namespace, named: str, seed: int) -> dict[str, float]:
    """A row of the table: one backbone, trained and measured."""
    backbone, _, weights = named.partition("=")
    config = TrainConfig(
        backbone=backbone,
        minutes=given.minutes,
        seed=seed,
        side_px=given.side,
        device=given.device,
    )
    data, held = read_folder(given.data, "train"), read_folder(given.data, "test").samples
    backgrounds = find_images(given.backgrounds) if given.backgrounds else ()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        card = fit(
            config,
            data.samples,
            data.classes,
            model,
            weights_dir=given.weights,
            weights=Path(weights) if weights else None,
            backgrounds=backgrounds,
        )
        start = time.perf_counter()
        found = measure(model, held)
        seconds = time.perf_counter() - start
        parameters = sum(parameter.numel() for parameter in load_model(model)[0].parameters())
    facts = {
        "steps": float(card.metrics["train_steps"]),
        "million parameters": parameters / 1e6,
        "pictures/s measured": len(held) / seconds,
    }
    return facts | found


def summary(values: Sequence[float]) -> str:
    """The mean of some seeds, and half of how far they are apart."""
    half = (np.max(values) - np.min(values)) / 2
    return f"{np.mean(values):.3g}" + (f" ± {half:.2g}" if len(values) > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
