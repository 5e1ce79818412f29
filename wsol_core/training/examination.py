"""Examines the model at the end of each stage, and lets a stage that has collapsed go on for a while.

What it looks at are held-out images and some that are trained on; collapse.py says what counts as a collapse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from wsol_core.data.loader import plain_images
from wsol_core.devices import autocast
from wsol_core.methods.base import Prediction, WsolMethod
from wsol_core.records import Sample
from wsol_core.training.collapse import ADVICE, Collapse, Examined, find_collapse
from wsol_core.training.enough_steps import least_steps
from wsol_core.training.model_selection import evaluating
from wsol_core.training.progress import Notice
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget
from wsol_core.training.training_data import TrainingData, of_every_class

logger = logging.getLogger(__name__)

MOST_EXTENSIONS = 2  # of a stage, each as long as its default steps
FEWEST_STEPS = 0.1  # of its default steps; fewer cannot mend anything
TRAINED_IMAGES, HELD_OUT_IMAGES = 64, 32  # at most
BATCH = 32


class Examination:
    """Keeps `state.collapsed`, and extends plans; the main process decides for all."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget) -> None:
        self._context, self._state, self._budget = context, state, budget

    def begin_stage(self) -> None:
        """What the stage before has left is not this one's fault, and cannot be mended by it."""
        state = self._state
        state.known, state.extensions = list(state.collapsed), 0

    def examine(self) -> None:
        """Looks at the method as it is, on the main process."""
        if self._context.examine is None:
            return
        start = self._context.clock()
        found = self._context.examine(self._state.steps.dtype)
        self._state.collapsed = {each.fault.value: each.sentence for each in found}
        self._budget.reserve(self._context.clock() - start)

    def goes_on(self, index: int) -> bool:
        """Examines the method after the last step of stage `index`; whether the stage goes on, by a longer plan."""
        self.examine()
        state, peers = self._state, self._context.peers
        new = [sentence for name, sentence in state.collapsed.items() if name not in state.known]
        steps = self._further_steps(index) if new else 0
        steps, deadline_s = peers.broadcast((steps, self._budget.deadline_after(steps)))
        if not steps:
            return False
        state.extensions += 1
        state.plans[index] = state.plans[index].continued(steps, deadline_s)
        if peers.is_main:
            self._say(index, new[0], steps)
        return True

    def _further_steps(self, index: int) -> int:
        """None for a stage that was to be too short, or has a recipe's epochs: whoever asked for that is told so."""
        state, default = self._state, self._budget.default_steps[index]
        if self._context.method.options.stage_epochs:
            return 0
        if state.extensions >= MOST_EXTENSIONS or state.plans[index].steps < least_steps(default):
            return 0
        steps = self._budget.spare_steps(index, state.costs)
        return steps if steps >= FEWEST_STEPS * default else 0

    def _say(self, index: int, why: str, steps: int) -> None:
        stage = self._context.method.stages[index]
        sentence = f"{why.removesuffix(ADVICE).rstrip()} Stage {stage} goes on for {steps} steps."
        logger.info("%s", sentence)
        self._context.hooks.on_notice(Notice(sentence))


def examiner(
    method: WsolMethod, data: TrainingData, side_px: int, device: torch.device
) -> Callable[[torch.dtype], list[Collapse]]:
    """What says how `method` has collapsed, as it is then."""
    trained = of_every_class(data.train, data.classes, TRAINED_IMAGES)
    held_out = of_every_class(data.held_out, data.classes, HELD_OUT_IMAGES)
    return partial(_examine, method, [*trained, *held_out], data.classes, side_px, device)


def _examine(
    method: WsolMethod,
    samples: Sequence[Sample],
    classes: Sequence[str],
    side_px: int,
    device: torch.device,
    dtype: torch.dtype,
) -> list[Collapse]:
    logits, labels, maps, image_of = [], [], [], []
    with torch.no_grad(), evaluating(method):
        for start in range(0, len(samples), BATCH):
            read, images = plain_images(samples[start : start + BATCH], side_px)
            if not read:
                continue
            with autocast(device, dtype):
                prediction = method(images.to(device, memory_format=torch.channels_last))
            shown = torch.tensor([[name in sample.labels for name in classes] for sample in read])
            own, rows = _own_maps(prediction, shown)
            image_of.append(rows + start)
            logits.append(prediction.logits.float().cpu())
            labels.append(shown.float())
            maps.append(own)
    if not logits:
        return []
    return find_collapse(Examined(*(torch.cat(parts) for parts in (logits, labels, maps, image_of))), classes)


def _own_maps(prediction: Prediction, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The maps (P, h, w) of the images' own classes, and the rows of their images (P,); see `Examined`."""
    maps = prediction.maps.float().cpu()
    if maps.shape[1] == 1:
        return maps[:, 0], torch.arange(len(maps))
    rows, columns = labels.nonzero(as_tuple=True)
    return maps[rows, columns], rows
