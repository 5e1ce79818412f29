"""A method that trains in milliseconds, drawn batches, a clock to set, and small images, for the tests of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from wsol_core.config import TrainConfig
from wsol_core.data.batch import Batch
from wsol_core.localization.model_folder import load_model
from wsol_core.methods.base import LossTerms, Prediction, WsolMethod
from wsol_core.records import CorrectedRegion, Sample
from wsol_core.training.distributed import Distributed, Peers
from wsol_core.training.initialization import Initialization
from wsol_core.training.loop import TrainingLoop
from wsol_core.training.progress import Progress, TrainingHooks
from wsol_core.training.state import TrainingContext

SIDE = 16
CPU = torch.device("cpu")


class TinyMethod(WsolMethod):
    """Two convolutions, dropout, and BatchNorm unless `plain`; `localize` freezes the first one."""

    stages = ("classify", "localize")
    default_epochs: ClassVar[dict[str, int]] = {"classify": 1, "localize": 3}

    def __init__(self, num_classes: int = 2, multi_label: bool = False, plain: bool = False) -> None:
        super().__init__(num_classes, multi_label)
        self.low = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.norm = nn.Identity() if plain else nn.BatchNorm2d(6)
        self.drop = nn.Identity() if plain else nn.Dropout(0.2)
        self.high = nn.Conv2d(6, num_classes, 3, stride=2, padding=1)
        self.extra = nn.Conv2d(3, 1, 1)  # in no loss: it never has a gradient
        self.on_step: Callable[[Batch], None] = lambda batch: None

    def default_steps(self, stage: str, images: int, classes: int, batch_size: int) -> int:
        return 4 * self.default_epochs[stage]

    def begin_stage(self, stage: str) -> None:
        self.low.requires_grad_(stage == "classify")
        if stage == "localize":
            nn.init.normal_(self.high.bias, 0, 0.01)

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        trained = [p for p in self.parameters() if p.requires_grad]
        return [{"params": trained, "lr": 0.05, "weight_decay": 1e-4}]

    def optimizer(self, stage: str) -> str:
        return "sgd" if stage == "classify" else "adam"

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        self.on_step(batch)
        logits = self(batch.images).logits.float()
        ramp = 1 + progress + 0.01 * float(torch.rand(())) * (not isinstance(self.drop, nn.Identity))
        return {"cls": ramp * nn.functional.cross_entropy(logits, batch.target), "area": 0.1 * logits.square().mean()}

    def forward(self, images: Tensor) -> Prediction:
        maps = self.high(self.drop(self.norm(self.low(images)).relu()))
        return Prediction(maps.mean((2, 3)), maps.sigmoid())


class DrawnSource:
    """Batches of noise whose class is their brightness; batch i depends on i only, shared out over the processes."""

    def __init__(self, batch_size: int = 4, rank: int = 0, world_size: int = 1) -> None:
        self.batches_per_epoch = 3
        self.served: list[int] = []
        self._size, self._rank, self._world = batch_size, rank, world_size

    def batches(self, start: int) -> Generator[Batch, None, None]:
        index = start
        while True:
            self.served.append(index)
            yield self.batch(index)
            index += 1

    def batch(self, index: int) -> Batch:
        generator = torch.Generator().manual_seed(index)
        count = self._size * self._world
        target = torch.arange(count) % 2
        images = torch.randn(count, 3, SIDE, SIDE, generator=generator) + target.view(-1, 1, 1, 1)
        mine = slice(self._rank * self._size, (self._rank + 1) * self._size)
        images, target = images[mine], target[mine]
        zeros = torch.zeros(len(target), dtype=torch.long)
        region = torch.zeros(len(target), SIDE // 4, SIDE // 4)
        return Batch(images, nn.functional.one_hot(target, 2).float(), target, zeros, region)


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passing(self, seconds: Callable[[], float]) -> Callable[[Batch], None]:
        def on_step(batch: Batch) -> None:
            self.now += seconds()

        return on_step


def make_context(folder: Path, seed: int = 0, plain: bool = False, **changes: Any) -> TrainingContext:
    """A context on the CPU with a freshly initialised method; `changes` replace parts of it, or of its config."""
    torch.manual_seed(seed)
    parts: dict[str, Any] = {
        "method": TinyMethod(plain=plain),
        "initialization": Initialization(),
        "source": DrawnSource(),
        "folder": folder,
        "device": CPU,
        "peers": Peers(Distributed(), CPU),
        "hooks": TrainingHooks(),
        "clock": time.monotonic,
    }
    parts |= {name: changes.pop(name) for name in list(changes) if name in TrainingContext.__dataclass_fields__}
    parts["config"] = TrainConfig(**{"epochs": 4, "seed": seed, "device": "cpu", **changes})
    parts.setdefault("started", parts["clock"]())
    return TrainingContext(**parts)


def train(
    context: TrainingContext, precision: torch.dtype = torch.float32, checkpoint: Any = None
) -> dict[str, Tensor]:
    """The trained weights."""
    TrainingLoop(context, precision, checkpoint).run()
    return {name: value.clone() for name, value in context.method.state_dict().items()}


def timed_context(
    folder: Path, clock: FakeClock, minutes: float, seconds: Callable[[], float], **changes: object
) -> TrainingContext:
    """A context whose every step takes as many `seconds` of the `clock`."""
    method = TinyMethod(plain=True)
    method.on_step = clock.passing(seconds)
    return make_context(folder, epochs=None, minutes=minutes, clock=clock, method=method, **changes)


def reports_of(context_of: Callable[[TrainingHooks], TrainingContext]) -> list[Progress]:
    """What the whole training tells, step by step."""
    seen: list[Progress] = []
    train(context_of(TrainingHooks(on_progress=seen.append)))
    return seen


def stop_after(steps: int) -> TrainingHooks:
    """Hooks that end a training once so many steps are done."""
    seen: list[Progress] = []
    return TrainingHooks(on_progress=seen.append, should_stop=lambda: len(seen) >= steps)


def weights(folder: Path) -> dict[str, Tensor]:
    """Those of the finished model in `folder`."""
    return dict(load_model(folder)[0].state_dict())


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


CONFIG = TrainConfig(
    method="cam",
    backbone="tiny",
    epochs=2,
    batch_size=4,
    side_px=64,
    device="cpu",
    precision="float32",
    workers=0,
    seed=3,
)
CLASSES = ("blue", "red")


def draw(folder: Path, count: int, boxed: bool = False) -> list[Sample]:
    """`count` images: a coloured square on grey noise, alternately red and blue."""
    rng = np.random.default_rng(0)
    samples = []
    for index in range(count):
        label = CLASSES[index % 2]
        pixels = rng.integers(90, 160, (80, 100, 3), dtype=np.uint8)
        x, y = (int(v) for v in rng.integers(5, 40, 2))
        pixels[y : y + 32, x : x + 40] = (200, 30, 30) if label == "red" else (30, 30, 200)
        path = folder / f"{label}{index}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        regions = (CorrectedRegion(label, (x, y, x + 40, y + 32)),) if boxed else ()
        samples.append(Sample(path.name, path, (label,), regions))
    return samples
