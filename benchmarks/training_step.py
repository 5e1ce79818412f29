"""Training steps of every method and stage, as a ratio to one forward and backward of the stock backbone.

    python -m benchmarks.training_step [--backbone mobilenet_v2] [--batch 32]

All in the precision and layout that Boxstrap chooses for the machine, the stock backbone included. A step is what the
trainer runs: forward, loss, backward, optimiser; the pictures lie ready in memory.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
import torchvision

from benchmarks.timing import machine, seconds
from wsol_core.data.batch import Batch
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.build import build_method
from wsol_core.registry import METHODS
from wsol_core.training.optimizers import build_optimizer

CLASSES, SIDE_PX, LATE = 5, 224, 0.9  # LATE: all terms of a stage are on


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    device = choose_device("auto")
    dtype = choose_precision(device, "auto")
    batch = drawn_batch(arguments.batch).to(device)
    stock = getattr(torchvision.models, arguments.backbone)(weights=None, num_classes=CLASSES)
    stock = stock.to(device, memory_format=torch.channels_last).train()

    def stock_step() -> None:
        with autocast(device, dtype):
            logits = stock(batch.images)
        F.cross_entropy(logits.float(), batch.target).backward()  # type: ignore[no-untyped-call]
        stock.zero_grad(set_to_none=True)

    print(f"{machine()}, {arguments.backbone}, batch {arguments.batch} at {SIDE_PX} px, {dtype}")
    print("| step | images/s | ratio to the stock backbone's forward + backward | to the method's own backbone |")
    print("|---|---|---|---|")
    base = seconds(stock_step)
    print(f"| stock backbone | {arguments.batch / base:.0f} | 1.00 | |")
    for name in METHODS:
        method = build_method(name, arguments.backbone, CLASSES, multi_label=False)
        method = method.to(device).to(memory_format=torch.channels_last)
        own = seconds(lambda method=method: plain_step(method, batch, device, dtype))  # type: ignore[misc]
        for stage in method.stages:
            spent = seconds(stage_step(method, stage, batch, device, dtype))
            print(f"| {name}, {stage} | {arguments.batch / spent:.0f} | {base / spent:.3f} | {own / spent:.3f} |")


def plain_step(method: WsolMethod, batch: Batch, device: torch.device, dtype: torch.dtype) -> None:
    """Forward and backward of the method's own network, without its losses."""
    method.train()
    method.requires_grad_(True)
    with autocast(device, dtype):
        prediction = method(batch.images)
    (F.cross_entropy(prediction.logits.float(), batch.target) + prediction.maps.float().mean()).backward()
    method.zero_grad(set_to_none=True)


def stage_step(method: WsolMethod, stage: str, batch: Batch, device: torch.device, dtype: torch.dtype):  # type: ignore[no-untyped-def]
    """The trainer's step of `stage` as a callable."""
    method.begin_stage(stage)
    method.train()
    optimizer = build_optimizer(method.parameter_groups(stage), method.optimizer(stage))

    def step() -> None:
        with autocast(device, dtype):
            terms = method.training_step(batch, stage, LATE)
        torch.stack([term.float() for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def drawn_batch(size: int, side_px: int = SIDE_PX) -> Batch:
    """Drawn pictures, since graph cuts take their time from what pictures show."""
    from wsol_core.synthetic.single import draw_image

    generator = torch.Generator().manual_seed(0)
    target = torch.arange(size) % CLASSES
    pictures = [torch.from_numpy(draw_image(0, index, CLASSES).image) for index in range(min(size, 32))]
    squashed = [
        F.interpolate(p.permute(2, 0, 1)[None].float() / 255, size=(side_px, side_px), mode="area") for p in pictures
    ]
    images = (torch.cat([squashed[i % len(squashed)] for i in range(size)]) - 0.45) / 0.225
    images += 0.01 * torch.randn(images.shape, generator=generator)
    nothing = torch.zeros(size, side_px // 4, side_px // 4)
    return Batch(images, F.one_hot(target, CLASSES).float(), target, torch.zeros(size, dtype=torch.long), nothing)


if __name__ == "__main__":
    main()
