"""What each constant of the default method changes: trainings of equal steps with its value and with others.

    python -m benchmarks.ablation [--constants SMOOTHNESS,regions.MIN_SHARE] [--seeds 2] [--epochs 61] [--touching]
    python -m benchmarks.ablation --images DATA --backbone mobilenet_v2 [--weights DIR]

Without --images it draws pictures, with --touching those of several objects, learns from two thirds with the tiny
network at 128 px, and measures the others. With --images it learns from the train split of DATA, a folder with
annotations.jsonl, and measures those of its images whose boxes it does not learn from; the test split is not read. A
constant that matters only from stage "localize" or "separate" on, in the choice of the threshold or in prediction
shares with the default all that comes before (see `From`). Rows are printed as they come, as differences to the
default's; the rows of the default tell what is chance.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ablated_constant import Constant, From
from benchmarks.ablation_constants import CONSTANTS
from benchmarks.ablation_measures import measure, measure_prompts
from benchmarks.timing import machine
from wsol_core.config import TrainConfig
from wsol_core.data.folder import find_images, read_folder
from wsol_core.errors import TrainingCancelled
from wsol_core.records import Sample
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit
from wsol_core.training.progress import Progress, TrainingHooks

DRAWN_CLASSES, DRAWN_IMAGES, DRAWN_SEED, DRAWN_TEST_SHARE = 4, 192, 5, 1 / 3
DRAWN_SIDE_PX, DRAWN_BATCH, DRAWN_EPOCHS = 128, 16, 61  # of which the first two stages get 48
BOXES_PER_CLASS = 5  # learned from where a constant needs boxes
FEWEST_DEFAULTS = 2  # seeds of the default, so that chance shows

# The checkpoints that the default leaves on its way: the stage, and how many of its steps are still to come.
CUTS = {From.LOCALIZE: ("classify", 0), From.SEPARATE: ("localize", 0), From.END: ("separate", 1)}

Measures = Mapping[str, float]


def main() -> None:
    """Prints the tables."""
    given = parse(sys.argv[1:])
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        data = given.images or drawn(Path(folder) / "drawn", given.touching)
        facts = f"{data.name}, {given.backbone}, {given.seeds} seeds"
        print(f"{machine()}; {facts}; `{' '.join(sys.argv[1:])}`", flush=True)
        for needs_boxes in (False, True):
            chosen = [constant for constant in given.constants if (constant.needs == "boxes") == needs_boxes]
            if chosen:
                print(f"\nRegions that are learned from: {BOXES_PER_CLASS if needs_boxes else 0} images a class")
                bench = Bench(given, data, Path(folder) / f"boxes-{needs_boxes}", needs_boxes)
                compare(bench, [constant for constant in chosen if constant.again is not From.PROMPT], prompted=False)
                compare(bench, [constant for constant in chosen if constant.again is From.PROMPT], prompted=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line, with `constants` chosen from the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--constants", metavar="NAME,...", help="only these, such as SMOOTHNESS or regions.MIN_SHARE")
    parser.add_argument("--seeds", type=int, default=1, help="of trainings; differences are means over them")
    parser.add_argument("--epochs", type=int, help=f"all stages together; drawn pictures: {DRAWN_EPOCHS}")
    parser.add_argument("--images", type=Path, metavar="DATA", help="a folder with annotations.jsonl")
    parser.add_argument("--touching", action="store_true", help="draw several objects a picture, some of them touching")
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="the folder of pretrained weights")
    parser.add_argument("--backgrounds", type=Path, metavar="DIR", help="images without any object")
    parser.add_argument("--list", action="store_true", help="print the constants and end")
    given = parser.parse_args(arguments)
    if given.touching and given.images:
        parser.error("--touching is about drawn pictures; leave --images out.")
    absent = {"pretrained" if given.backbone == "tiny" else "fresh", "" if given.backgrounds else "backgrounds"}
    names = given.constants.split(",") if given.constants else []
    if unknown := set(names) - {name for constant in CONSTANTS for name in (constant.key, constant.name)}:
        parser.error(f"{', '.join(sorted(unknown))}: no such constant; --list shows them all.")
    if names:
        given.constants = [
            constant for name in names for constant in CONSTANTS if name in (constant.key, constant.name)
        ]
    else:
        given.constants = [constant for constant in CONSTANTS if not constant.needs or constant.needs not in absent]
    if given.list:
        for constant in given.constants:
            print(f"{constant.key} = {constant.value!r}: {constant.meaning}; instead {constant.alternatives}")
        sys.exit()
    return given


def drawn(out: Path, touching: bool) -> Path:
    """The folder of drawn pictures; its test split is what is measured."""
    draw_folder(out, DRAWN_CLASSES, DRAWN_IMAGES, DRAWN_SEED, DRAWN_TEST_SHARE, touching=float(touching))
    return out


class Bench:
    """Trainings of one data folder, and where their default is cut so that others go on from there."""

    def __init__(self, given: argparse.Namespace, data: Path, work: Path, boxes: bool) -> None:
        """Args: work: a folder for checkpoints and models. boxes: whether some corrected regions are learned from."""
        self.given, self.work = given, work
        self.seeds = range(given.seeds)
        found = read_folder(data, "train", BOXES_PER_CLASS if boxes else 0)
        self.samples, self.classes = found.samples, found.classes
        held = found.samples if given.images else read_folder(data, "test").samples
        self.held: list[Sample] = [sample for sample in held if sample.truth and not sample.regions]
        self.backgrounds = find_images(given.backgrounds) if given.backgrounds else ()

    def config(self, seed: int) -> TrainConfig:
        """Settings of every training with `seed`; nothing is held out, since the last epoch is what is measured."""
        common = {"backbone": self.given.backbone, "seed": seed, "holdout": 0.0}
        if self.given.images:
            return TrainConfig(**common, epochs=self.given.epochs)
        epochs = self.given.epochs or DRAWN_EPOCHS
        return TrainConfig(**common, epochs=epochs, side_px=DRAWN_SIDE_PX, batch_size=DRAWN_BATCH, device="cpu")

    def default(self, seed: int) -> Path:
        """The default's model; on the way it leaves the checkpoints of CUTS."""
        out = self.work / f"default-{seed}"
        if not out.exists():
            for cut in CUTS:
                self._train(seed, out, cut)
                shutil.copytree(out, self.work / f"{cut.name}-{seed}")
            self._train(seed, out)
        return out

    def model(self, seed: int, start: From) -> Path:
        """A model trained by the code as it is now, from the default's checkpoint at `start` on."""
        if start is From.PROMPT:
            return self.default(seed)
        out = self.work / "model"
        shutil.rmtree(out, ignore_errors=True)
        if start is not From.START:
            self.default(seed)
            shutil.copytree(self.work / f"{start.name}-{seed}", out)
        self._train(seed, out)
        return out

    def _train(self, seed: int, out: Path, until: From | None = None) -> None:
        """Train or go on in `out`, to the end or to a checkpoint there."""
        stop = Stop(until)
        hooks = TrainingHooks(on_progress=stop.watch, should_stop=lambda: stop.reached)
        options = {"weights_dir": self.given.weights, "backgrounds": self.backgrounds, "hooks": hooks}
        try:
            fit(self.config(seed), self.samples, self.classes, out, resume=out.exists(), **options)
        except TrainingCancelled:
            assert stop.reached


@dataclass
class Stop:
    """Whether a training has come to the checkpoint `until`."""

    until: From | None
    reached: bool = False

    def watch(self, progress: Progress) -> None:
        """Hears of every step."""
        if self.until is not None:
            self.reached = CUTS[self.until] == (progress.stage, progress.steps - progress.step)


def compare(bench: Bench, constants: Iterable[Constant], prompted: bool) -> None:
    """One table: the default's measures, seed by seed, then a row for each alternative."""
    constants = list(constants)
    if not constants:
        return
    ask = measure_prompts if prompted else measure
    seeds = range(max(len(bench.seeds), 1 if prompted else FEWEST_DEFAULTS))
    default = {seed: ask(bench.default(seed), bench.held) for seed in seeds}
    names = list(default[0])
    print(f"\n| constant | value | instead | {' | '.join(names)} |\n|{'---|' * (3 + len(names))}", flush=True)
    for seed, found in default.items():
        print(f"| default, seed {seed} | | | {' | '.join(shown(found[name]) for name in names)} |", flush=True)
    for constant in constants:
        for value in constant.alternatives:
            with constant.replaced(value):
                tried = {seed: ask(bench.model(seed, constant.again), bench.held) for seed in bench.seeds}
            cells = [shown(mean_difference(default, tried, name), "+") for name in names]
            print(f"| `{constant.key}` | {constant.value!r} | {value!r} | {' | '.join(cells)} |", flush=True)


def mean_difference(default: Mapping[int, Measures], tried: Mapping[int, Measures], name: str) -> float:
    """Over the seeds."""
    return float(np.mean([found[name] - default[seed][name] for seed, found in tried.items()]))


def shown(value: float, sign: str = "") -> str:
    """As ".123" or "+.123"."""
    return "-" if np.isnan(value) else f"{value:{sign}.3f}".replace("0.", ".", 1)


if __name__ == "__main__":
    main()
