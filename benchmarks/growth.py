"""How time and peak memory of training and localizing grow with the number of pictures.

    python -m benchmarks.growth [--counts 100 1000 10000]

Each count is its own process. The pictures are one drawn folder of 200, repeated under other names by links, so that
10,000 files take no disk; every one of them is read and decoded for itself.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import machine
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.localization.predictions_file import write_predictions
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

DRAWN = 200


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        measure(arguments.one)
        return
    print(f"{machine()}, tiny backbone, one epoch of each stage")
    print("| pictures | training s | localizing s | peak memory MiB |\n|---|---|---|---|", flush=True)
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            linked_pictures(Path(folder) / "pictures", count)
            subprocess.run([sys.executable, "-m", "benchmarks.growth", "--one", folder], check=True)


def linked_pictures(out: Path, count: int) -> None:
    """`count` pictures in class folders, hard links to the drawn ones."""
    drawn = out.parent / "drawn"
    draw_folder(drawn, classes=4, images=min(DRAWN, count), seed=0)
    sources = sorted((drawn / "images").glob("*/*.jpg"))
    for index in range(count):
        source = sources[index % len(sources)]
        target = out / source.parent.name / f"{index:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def measure(folder: Path) -> None:
    """One row of the table."""
    data = read_folder(folder / "pictures")
    start = time.perf_counter()
    fit(TrainConfig(backbone="tiny", epochs=3), data.samples, data.classes, folder / "model")
    trained = time.perf_counter()
    predictor = Predictor.open(folder / "model")
    write_predictions(predictor.localize(data.samples, classes_of=own_labels), folder / "out", maps=False)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"| {len(data.samples)} | {trained - start:.0f} | {done - trained:.0f} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
