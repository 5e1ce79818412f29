"""One optimiser step that survives too little memory and losses that are not finite.

Its random numbers depend on (seed, stage, step, rank) only, so a step that is repeated or resumed is the same step.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from wsol_core.data.batch import Batch
from wsol_core.devices import autocast
from wsol_core.errors import ConfigError, WsolError
from wsol_core.methods.base import WsolMethod
from wsol_core.training.distributed import Peers
from wsol_core.training.optimizers import clip_gradients, optimized_parameters, set_learning_rate

logger = logging.getLogger(__name__)

MOST_SKIPS, MOST_SKIPS_IN_BFLOAT16 = 10, 3  # consecutive
FLOAT32 = "float32"


@dataclass(slots=True)
class StepState:
    """What steps learn about the machine and the numbers; part of a checkpoint.

    micro_batches: into how many each batch is split. precision: "float32" or "bfloat16". skipped_steps: those skipped
    since their loss or gradient was not finite; consecutive_skips: how many of them were the latest steps.
    """

    micro_batches: int = 1
    precision: str = FLOAT32
    consecutive_skips: int = 0
    skipped_steps: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch has it."""
        dtype: torch.dtype = getattr(torch, self.precision)
        return dtype

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by their names in checkpoints."""
        return {
            "parts": self.micro_batches,
            "precision": self.precision,
            "bad_in_a_row": self.consecutive_skips,
            "bad_steps": self.skipped_steps,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StepState:
        """The state of `to_dict`'s values."""
        return cls(values["parts"], values["precision"], values["bad_in_a_row"], values["bad_steps"])


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Which step: `progress` in [0, 1) of the stage, and the factor of its learning rate."""

    stage: str
    stage_index: int
    step: int
    progress: float
    lr_factor: float


class Stepper:
    """Runs optimiser steps of one stage on `device`."""

    def __init__(
        self, method: WsolMethod, optimizer: Optimizer, device: torch.device, seed: int, peers: Peers, state: StepState
    ) -> None:
        self.method = method
        self.optimizer = optimizer
        self.state = state
        self._device = device
        self._seed = seed
        self._peers = peers
        self._parameters = optimized_parameters(optimizer)
        self._buffers = list(method.buffers())
        self._kept = [buffer.detach().clone() for buffer in self._buffers]

    @property
    def learning_rate(self) -> float:
        """Of the first parameter group, in the latest step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def run(self, batches: Sequence[Batch], place: StepPlace) -> dict[str, float]:
        """One step on all `batches` together; the loss terms, averaged over them, before the step."""
        set_learning_rate(self.optimizer, place.lr_factor)
        _copy(self._buffers, self._kept)
        on_device = [batch.to(self._device) for batch in batches]
        losses = self._backward_in_memory(on_device, place)
        self._peers.average(self._parameters, self._buffers)
        norm = clip_gradients(self._parameters, self.method.options.clip_norm)
        # One transfer for everything: each costs a wait for the device.
        *values, length = torch.stack([*losses.values(), norm.float()]).tolist()
        numbers = dict(zip(losses, values, strict=True))
        finite = all(map(math.isfinite, (*values, length)))
        if self._peers.any(not finite):
            self._skip(place, numbers)
        else:
            self.state.consecutive_skips = 0
            self.optimizer.step()
        return numbers

    def _backward_in_memory(self, batches: list[Batch], place: StepPlace) -> dict[str, Tensor]:
        while True:
            try:
                return self._backward(batches, place)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._split_further(max(len(batch.images) for batch in batches))
            # Out of the handler, since the error's traceback holds the activations that have to go.
            self.optimizer.zero_grad(set_to_none=True)
            _copy(self._kept, self._buffers)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _backward(self, batches: list[Batch], place: StepPlace) -> dict[str, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        total: dict[str, Tensor] = {}
        count = sum(len(batch.images) for batch in batches)
        with seeded(self._device, self._seed, place.stage_index, place.step, self._peers.rank):
            for batch in batches:
                for part in split_batch(batch, self.state.micro_batches):
                    share = len(part.images) / count
                    with autocast(self._device, self.state.dtype):
                        terms = self.method.training_step(part, place.stage, place.progress)
                    loss = torch.stack([term.float() for term in terms.values()]).sum()
                    if loss.requires_grad:
                        (loss * share).backward()  # type: ignore[no-untyped-call]
                    for name, term in terms.items():
                        mean = term.detach().float() * share
                        total[name] = total[name] + mean if name in total else mean
        return total

    def _split_further(self, largest: int) -> None:
        if self.state.micro_batches >= largest:
            raise ConfigError(
                "Even one image at a time does not fit the memory; choose a smaller side_px or backbone, or another "
                "device."
            )
        self.state.micro_batches = min(largest, self.state.micro_batches * 2)
        size = -(-largest // self.state.micro_batches)
        logger.warning(
            "Out of memory: going on with %d images at a time, %d times a step.", size, self.state.micro_batches
        )

    def _skip(self, place: StepPlace, losses: dict[str, float]) -> None:
        _copy(self._kept, self._buffers)
        self.state.skipped_steps += 1
        self.state.consecutive_skips += 1
        logger.warning("Skipped step %d of stage %s: not finite (%s).", place.step + 1, place.stage, losses)
        if self.state.precision != FLOAT32 and self.state.consecutive_skips >= MOST_SKIPS_IN_BFLOAT16:
            logger.warning("Going on in float32: %d consecutive steps were not finite.", self.state.consecutive_skips)
            self.state.precision = FLOAT32
            self.state.consecutive_skips = 0
        elif self.state.consecutive_skips >= MOST_SKIPS:
            raise WsolError(
                f"The loss of stage {place.stage} was not finite in {MOST_SKIPS} consecutive steps ({losses}); "
                "look for broken images or labels, or train with another seed or backbone."
            )


@contextmanager
def seeded(device: torch.device, *key: int) -> Iterator[None]:
    """Random numbers inside depend on `key` only; outside they go on as if nothing had been drawn."""
    with torch.random.fork_rng([device.index] if device.type == "cuda" else []):
        torch.manual_seed(_mixed(key))
        yield


def _copy(source: list[Tensor], target: list[Tensor]) -> None:
    if source:  # a network without BatchNorm has no buffers
        torch._foreach_copy_(target, source)


def _mixed(key: Sequence[int]) -> int:
    digest = hashlib.blake2b(repr(tuple(key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def split_batch(batch: Batch, parts: int) -> Iterator[Batch]:
    """The batch in `parts` of nearly the same size (fewer where it has fewer images), and its backgrounds too.

    Every part gets a background image where there are any; where they are fewer than the parts, some are used twice.
    """
    count = len(batch.images)
    parts = min(parts, count)
    if parts == 1:
        yield batch
        return
    for index in range(parts):
        cut = slice(index * count // parts, (index + 1) * count // parts)
        backgrounds = batch.backgrounds
        if backgrounds is not None:
            start = index * len(backgrounds) // parts
            backgrounds = backgrounds[start : max(start + 1, (index + 1) * len(backgrounds) // parts)]
        yield Batch(
            images=batch.images[cut],
            labels=batch.labels[cut],
            target=batch.target[cut],
            region_kind=batch.region_kind[cut],
            region=batch.region[cut],
            backgrounds=backgrounds,
            objects=None if batch.objects is None else batch.objects.of_images(cut.start, cut.stop),
            finished=None if batch.finished is None else batch.finished[cut],
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a device or on the host."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
