"""What a GPU makes of Boxstrap, in one command: nothing is downloaded, and everything is a ratio to the stock backbone.

    python -m benchmarks.gpu [--backbone mobilenet_v2] [--batch 64] [--sides 224 448] [--repeats 7]
                             [--learned 60] [--steps 60] [--data FOLDER --weights-dir FOLDER]

Precision and layout by measuring; the graph cuts of a batch on the device beside OpenCV's on the CPU; the default
method's training steps and `localize` beside the stock backbone, of a step also the shares that go to cuts and to the
scenes of stage separate, which the CPU makes, and in which the device computes; one training alone and two at once;
memory by batch size, a training that has too little of it, and what is left when one was cancelled. Steps are timed
after a few others, since maps of a network that has learned nothing are ragged, and take cuts and scenes longer. With
--data, the figures of a training of the default length on the split test, to compare with a CPU's. On a machine
without a GPU the same tables are of the CPU, and say so.
"""

from __future__ import annotations

import argparse
import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
import torchvision

from benchmarks.localize import open_predictor
from benchmarks.timing import machine, seconds, wait
from benchmarks.training_step import CLASSES, drawn_batch, stage_step
from wsol_core.config import TrainConfig
from wsol_core.data.batch import Batch
from wsol_core.data.folder import DataFolder, read_folder
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.errors import TrainingCancelled
from wsol_core.evaluation.evaluate import evaluate
from wsol_core.localization import inference, refinement
from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.methods import pseudo_masks, separation
from wsol_core.methods.build import build_method
from wsol_core.ops.batched_grabcut import batched_graph_cuts
from wsol_core.ops.maps import min_max_tensor
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
        """Count the calls of `module`.`name` while this is entered, and what they have the device do."""
        real: Callable[..., object] = getattr(module, name)

        def timed(*args: object, **named: object) -> object:
            wait()
            begin_s = time.perf_counter()
            try:
                return real(*args, **named)
            finally:
                wait()
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
    parser.add_argument("--learned", type=int, default=60, help="steps of a stage before those that are timed")
    parser.add_argument(
        "--steps", type=int, default=60, help="of each training that is timed beside another; 0: none is"
    )
    parser.add_argument("--data", type=Path, help="a data folder with splits train and test, to learn from")
    parser.add_argument("--weights-dir", type=Path, help="a folder with the backbone's pretrained weights")
    asked = parser.parse_args()
    device = choose_device("auto")
    print(
        f"{machine()}, {asked.backbone}, batch {asked.batch}" + ("" if device.type == "cuda" else "; there is no GPU")
    )
    with tempfile.TemporaryDirectory() as folder:
        draw_folder(Path(folder), classes=CLASSES, images=asked.pictures, seed=0, sides_px=(375, 500))
        data = read_folder(Path(folder))
        precision_and_layout(asked.backbone, device, asked.batch, asked.sides, asked.repeats)
        cutting(device, asked.batch, asked.sides, asked.repeats)
        training_steps(asked.backbone, device, asked.batch, asked.sides, asked.repeats, asked.learned)
        localizing(asked.backbone, device, data, asked.sides, asked.repeats)
        if asked.steps:
            two_at_once(asked.backbone, Path(folder), asked.steps)
        cancelling(asked.backbone, device, data, Path(folder) / "cancelled")
        if device.type == "cuda":
            memory_by_batch(asked.backbone, device, asked.sides[0])
            too_little_memory(asked.backbone, data, Path(folder) / "small")
    if asked.data is not None:
        accuracy(asked.backbone, asked.data, asked.weights_dir)


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


def cutting(device: torch.device, batch: int, sides: Sequence[int], repeats: int) -> None:
    """Pseudo masks of a batch where it lies, and by OpenCV on all cores; by the images' own brightness as maps."""
    print("\n| pseudo masks | px | batch on the device, ms | batch by OpenCV, ms |\n|---|---|---|---|")
    for side in sides:
        images = drawn_batch(batch, side).images.to(device)
        pixels = pseudo_masks.to_pixels(F.avg_pool2d(images, pseudo_masks.CUT_STRIDE))
        maps = min_max_tensor(F.avg_pool2d(pixels.float().mean(3)[:, None], 9, 1, 4)[:, 0])
        here = seconds(partial(batched_graph_cuts, pixels.permute(0, 3, 1, 2), maps), repeats)
        there = seconds(partial(pseudo_masks.cut_where_they_lie, pixels.cpu(), maps.cpu()), repeats)
        print(f"| of {batch} images | {side} | {1e3 * here:.1f} | {1e3 * there:.1f} |", flush=True)


def training_steps(
    backbone: str, device: torch.device, batch: int, sides: Sequence[int], repeats: int, learned: int
) -> None:
    """Each stage of the default, as a ratio to the stock backbone, and what its time goes to."""
    print("\n| training step of the default | px | images/s | ratio to stock | cuts | scenes | GPU computes |")
    print("|---|---|---|---|---|---|---|")
    dtype = choose_precision(device, "auto")
    for side in sides:
        drawn = drawn_batch(batch, side).to(device)
        base = seconds(_stock_step(backbone, device, drawn, dtype, torch.channels_last), repeats)
        method = build_method("boxstrap", backbone, CLASSES, multi_label=False)
        method = method.to(device).to(memory_format=torch.channels_last)
        for stage in method.stages:
            step, cuts, scenes = stage_step(method, stage, drawn, device, dtype), Clock(), Clock()
            spent = seconds(step, repeats, warm_up=2 + learned)
            with cuts.inside(pseudo_masks, "cut_where_they_lie"), scenes.inside(separation, "training_scenes"):
                whole_s = seconds(step, repeats, warm_up=0) * repeats
            shares = f"{cuts.seconds / whole_s:.0%} | {max(0.0, scenes.seconds - cuts.seconds) / whole_s:.0%}"
            rates = f"{batch / spent:.0f} | {base / spent:.2f}"
            print(f"| {stage} | {side} | {rates} | {shares} | {_busy_share(step, device)} |", flush=True)


def localizing(
    backbone: str, device: torch.device, data: DataFolder, sides: Sequence[int], repeats: int, batch: int = 32
) -> None:
    """`localize` from files to regions, as a ratio to the stock backbone's forward."""
    print("\n| localize | px | images/s | ratio to stock forward | seconds of cuts a second | GPU computes |")
    print("|---|---|---|---|---|---|")
    samples, dtype = data.samples, choose_precision(device, "auto")
    for side in sides:
        predictor = open_predictor(None, backbone, side)
        list(predictor.localize(samples[:batch], own_labels))
        edges = Clock()
        with edges.inside(*((inference, "cuts_at_edges") if device.type == "cuda" else (refinement, "graph_cut"))):
            begin_s = time.perf_counter()
            list(predictor.localize(samples, own_labels))
            spent = time.perf_counter() - begin_s
        busy = _busy_share(lambda predictor=predictor: list(predictor.localize(samples, own_labels)), device)  # type: ignore[misc]
        stock = _stock(backbone, device, torch.channels_last).eval()
        images = torch.randn(batch, 3, side, side, device=device).to(memory_format=torch.channels_last)

        def forward(stock: torch.nn.Module = stock, images: torch.Tensor = images) -> None:
            with torch.inference_mode(), autocast(device, dtype):
                stock(images)

        bare, rate = batch / seconds(forward, repeats), len(samples) / spent
        print(f"| files to regions | {side} | {rate:.0f} | {rate / bare:.2f} | {edges.seconds / spent:.2f} | {busy} |")


def two_at_once(backbone: str, folder: Path, steps: int) -> None:
    """What a second training on the same device costs the first: steps a second of one alone, and of two together."""
    rates = {}
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            outs = [folder / f"worker-{workers}-{index}" for index in range(workers)]
            rates[workers] = sum(pool.map(partial(_steps_a_second, backbone, folder, steps), outs))
    print(
        f"\nOne training makes {rates[1]:.2f} steps a second; two at once make {rates[2]:.2f} together "
        f"({rates[2] / rates[1]:.2f} times as many)."
    )


def _steps_a_second(backbone: str, folder: Path, steps: int, out: Path) -> float:
    """Of a training that is cancelled after so many steps, without the first sixth of them."""
    config, data = TrainConfig(backbone=backbone, pretrained=False), read_folder(folder)
    ended = _cancelled_training(config, data, out, after_steps=steps)[steps // 6 :]
    return (len(ended) - 1) / (ended[-1] - ended[0])


def _cancelled_training(config: TrainConfig, data: DataFolder, out: Path, after_steps: int) -> list[float]:
    """When each step of a training ended, in seconds."""
    ended: list[float] = []
    hooks = TrainingHooks(
        on_progress=lambda _: ended.append(time.perf_counter()), should_stop=lambda: len(ended) >= after_steps
    )
    with suppress(TrainingCancelled):
        fit(config, data.samples, data.classes, out, hooks=hooks)
    return ended


def cancelling(backbone: str, device: torch.device, data: DataFolder, out: Path) -> None:
    """What a training that was cancelled after two steps leaves of the device's memory."""
    before, begin_s = _allocated_mib(device), time.perf_counter()
    _cancelled_training(TrainConfig(backbone=backbone, pretrained=False), data, out, after_steps=2)
    left, took_s = _allocated_mib(device) - before, time.perf_counter() - begin_s
    print(f"\nA training that is cancelled after two steps ends after {took_s:.1f} s and leaves {left:.0f} MiB.")


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


def too_little_memory(backbone: str, data: DataFolder, out: Path) -> None:
    """A training whose batches do not fit halves them until they do."""
    torch.cuda.empty_cache()
    fraction = (torch.cuda.memory_allocated() + 1.5 * 2**30) / torch.cuda.get_device_properties().total_memory
    torch.cuda.set_per_process_memory_fraction(fraction)
    notes = io.StringIO()
    handler = logging.StreamHandler(notes)
    logging.getLogger("wsol_core.training").addHandler(handler)
    try:
        config = TrainConfig(backbone=backbone, batch_size=128, pretrained=False)
        steps = len(_cancelled_training(config, data, out, after_steps=3))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        logging.getLogger("wsol_core.training").removeHandler(handler)
    said = [line for line in notes.getvalue().splitlines() if "memory" in line]
    print(f"\nA training of batches of 128 with 1.5 GiB made {steps} steps; it says: {' '.join(said) or 'nothing'}")


def accuracy(backbone: str, folder: Path, weights_dir: Path | None) -> None:
    """What a training of the default length reaches on a data folder's split test."""
    learned, judged = read_folder(folder, "train"), read_folder(folder, "test")
    with tempfile.TemporaryDirectory() as out:
        begin_s = time.perf_counter()
        model = Path(out) / "model"
        fit(TrainConfig(backbone=backbone), learned.samples, learned.classes, model, weights_dir=weights_dir)
        spent_s = time.perf_counter() - begin_s
        report = evaluate(Predictor.open(model), judged.samples)
    print(f"\n| {folder.name}, {len(judged.samples)} test images, after {spent_s:.0f} s of training | |\n|---|---|")
    for name, value in report.rows():
        if value is not None:
            print(f"| {name} | {value:.3f} |")


def _busy_share(call: Callable[[], object], device: torch.device) -> str:
    """The share of the call's time in which the device computes, as torch's profiler sees it."""
    if device.type != "cuda":
        return "no GPU"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        spent_s = seconds(call, repeats=1, warm_up=1)
    busy_s = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return f"{busy_s / 2 / spent_s:.0%}"  # half of it was the warm-up


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
