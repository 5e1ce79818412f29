"""What a GPU makes of Boxstrap, in one command: nothing is downloaded, and everything is a ratio to the stock backbone.

    python -m benchmarks.gpu [--backbone mobilenet_v2] [--batch 64] [--sides 224 448] [--repeats 7]

Precision and layout by measuring; the default method's training steps and `localize` beside the stock backbone; how
long a step waits for graph cuts, which run on the CPU and starve the device; memory by batch size; and what is left of
it when a training was cancelled. On a machine without a GPU the same tables are of the CPU, and say so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
import torchvision

from benchmarks.localize import open_predictor
from benchmarks.timing import machine, seconds
from benchmarks.training_step import CLASSES, drawn_batch, stage_step
from wsol_core.config import TrainConfig
from wsol_core.data.batch import Batch
from wsol_core.data.folder import DataFolder, read_folder
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.errors import TrainingCancelled
from wsol_core.localization import refinement
from wsol_core.localization.predictor import own_labels
from wsol_core.methods import pseudo_masks
from wsol_core.methods.build import build_method
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit
from wsol_core.training.progress import TrainingHooks

MIB = 2**20


class Clock:
    """Seconds spent inside of calls, whoever makes them; those of several threads are added."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def inside(self, module: object, name: str) -> Iterator[None]:
        """Count the calls of `module`.`name` while this is entered."""
        real: Callable[..., object] = getattr(module, name)

        def timed(*args: object, **named: object) -> object:
            begin_s = time.perf_counter()
            try:
                return real(*args, **named)
            finally:
                self.seconds += time.perf_counter() - begin_s

        with mock.patch.object(module, name, timed):
            yield


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 448])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=256)
    asked = parser.parse_args()
    device = choose_device("auto")
    print(
        f"{machine()}, {asked.backbone}, batch {asked.batch}" + ("" if device.type == "cuda" else "; there is no GPU")
    )
    with tempfile.TemporaryDirectory() as folder:
        draw_folder(Path(folder), classes=CLASSES, images=asked.pictures, seed=0, sides_px=(375, 500))
        data = read_folder(Path(folder))
        precision_and_layout(asked.backbone, device, asked.batch, asked.sides, asked.repeats)
        training_steps(asked.backbone, device, asked.batch, asked.sides, asked.repeats)
        localizing(asked.backbone, device, data, asked.repeats)
        cancelling(asked.backbone, device, data, Path(folder) / "cancelled")
    if device.type == "cuda":
        memory_by_batch(asked.backbone, device, asked.sides[0])


def precision_and_layout(backbone: str, device: torch.device, batch: int, sides: Sequence[int], repeats: int) -> None:
    """The stock backbone's step in every precision and layout, as a ratio to the first of them."""
    print("\n| stock backbone, forward + backward | px | images/s | ratio |\n|---|---|---|---|")
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    for side in sides:
        first = None
        for dtype in (torch.float32, torch.bfloat16):
            for name, layout in layouts.items():
                spent = seconds(_stock_step(backbone, device, drawn_batch(batch, side), dtype, layout), repeats)
                first = first or spent
                kind = f"{str(dtype).removeprefix('torch.')}, {name}"
                print(f"| {kind} | {side} | {batch / spent:.0f} | {first / spent:.2f} |", flush=True)


def training_steps(backbone: str, device: torch.device, batch: int, sides: Sequence[int], repeats: int) -> None:
    """Each stage of the default, as a ratio to the stock backbone, and the share of its time that graph cuts take."""
    print("\n| training step of the default | px | images/s | ratio to stock | waits for cuts |\n|---|---|---|---|---|")
    dtype = choose_precision(device, "auto")
    for side in sides:
        drawn = drawn_batch(batch, side).to(device)
        base = seconds(_stock_step(backbone, device, drawn, dtype, torch.channels_last), repeats)
        method = build_method("boxstrap", backbone, CLASSES, multi_label=False)
        method = method.to(device).to(memory_format=torch.channels_last)
        for stage in method.stages:
            step, cuts = stage_step(method, stage, drawn, device, dtype), Clock()
            spent = seconds(step, repeats)
            with cuts.inside(pseudo_masks, "graph_cuts"):
                _, counted = step(), seconds(step, repeats)
            share = cuts.seconds / (counted * (repeats + 3))
            print(f"| {stage} | {side} | {batch / spent:.0f} | {base / spent:.2f} | {share:.0%} |", flush=True)


def localizing(backbone: str, device: torch.device, data: DataFolder, repeats: int) -> None:
    """`localize` from files to regions, as a ratio to the stock backbone's forward."""
    predictor, samples, dtype = open_predictor(None, backbone), data.samples, choose_precision(device, "auto")
    list(predictor.localize(samples[:32], own_labels))
    edges = Clock()
    with edges.inside(refinement, "graph_cut"):
        begin_s = time.perf_counter()
        list(predictor.localize(samples, own_labels))
        spent = time.perf_counter() - begin_s
    stock = _stock(backbone, device, torch.channels_last).eval()
    images = torch.randn(32, 3, 224, 224, device=device).to(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode(), autocast(device, dtype):
            stock(images)

    bare, rate = 32 / seconds(forward, repeats), len(samples) / spent
    print("\n| localize | images/s | ratio to stock forward | seconds of cuts a second |\n|---|---|---|---|")
    print(f"| files to regions | {rate:.0f} | {rate / bare:.2f} | {edges.seconds / spent:.2f} |", flush=True)


def cancelling(backbone: str, device: torch.device, data: DataFolder, out: Path) -> None:
    """What a training that was cancelled at its first step leaves of the device's memory."""
    before = _allocated_mib(device)
    config = TrainConfig(backbone=backbone, epochs=1, pretrained=False)
    begin_s = time.perf_counter()
    try:
        fit(config, data.samples, data.classes, out, hooks=TrainingHooks(should_stop=lambda: True))
    except TrainingCancelled:
        left, took_s = _allocated_mib(device) - before, time.perf_counter() - begin_s
        print(
            f"\nA training that is cancelled at once ends after {took_s:.1f} s and leaves {left:.0f} MiB on the device."
        )


def memory_by_batch(backbone: str, device: torch.device, side: int) -> None:
    """The most memory of the default's first stage, by batch size, up to the largest that fits."""
    print(f"\n| batch at {side} px | MiB at most |\n|---|---|")
    dtype = choose_precision(device, "auto")
    for exponent in range(3, 12):
        method = build_method("boxstrap", backbone, CLASSES, multi_label=False)
        method = method.to(device).to(memory_format=torch.channels_last)
        torch.cuda.reset_peak_memory_stats(device)
        try:
            stage_step(method, method.stages[0], drawn_batch(2**exponent, side).to(device), device, dtype)()
        except torch.cuda.OutOfMemoryError:
            print(f"| {2**exponent} | does not fit; a training halves its batches there |")
            return
        print(f"| {2**exponent} | {torch.cuda.max_memory_allocated(device) / MIB:.0f} |", flush=True)


def _stock(backbone: str, device: torch.device, layout: torch.memory_format) -> torch.nn.Module:
    made: torch.nn.Module = getattr(torchvision.models, backbone)(weights=None, num_classes=CLASSES)
    return made.to(device).to(memory_format=layout)


def _stock_step(
    backbone: str, device: torch.device, batch: Batch, dtype: torch.dtype, layout: torch.memory_format
) -> Callable[[], None]:
    stock = _stock(backbone, device, layout).train()
    images, target = batch.images.to(device).to(memory_format=layout), batch.target.to(device)

    def step() -> None:
        with autocast(device, dtype):
            logits = stock(images)
        F.cross_entropy(logits.float(), target).backward()  # type: ignore[no-untyped-call]
        stock.zero_grad(set_to_none=True)

    return step


def _allocated_mib(device: torch.device) -> float:
    return torch.cuda.memory_allocated(device) / MIB if device.type == "cuda" else 0.0


if __name__ == "__main__":
    main()
