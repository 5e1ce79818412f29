"""Training in several processes: they see different images and average gradients and buffers after every backward.

Averaging after backward, and not by wrapping the model, because a method's training step is not one forward pass;
it is exact, and every process holds the same weights and buffers after every step. torchrun starts the processes, and
whoever calls `fit` passes on which of them it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_NUMBERS = 8 * 2**20  # 32 MiB of float32: large enough for the network, small beside the activations


@dataclass(frozen=True, slots=True)
class Distributed:
    """This process among `world_size`; `init_method` is how they find each other (torch.distributed's)."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    init_method: str = "env://"

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and decides."""
        return self.rank == 0


@contextmanager
def process_group(distributed: Distributed, device: torch.device) -> Iterator[None]:
    """The processes are connected inside; nothing happens for one process or where the caller has connected them."""
    if distributed.world_size == 1 or dist.is_initialized():
        yield
        return
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=distributed.init_method,
        rank=distributed.rank,
        world_size=distributed.world_size,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


class Peers:
    """Collective operations of the training's processes; with one process they return what they are given."""

    def __init__(self, distributed: Distributed, device: torch.device) -> None:
        self.world_size = distributed.world_size
        self.rank = distributed.rank
        self.is_main = distributed.is_main
        self._device = device

    def any(self, flag: bool) -> bool:
        """Whether `flag` is True on any process."""
        if self.world_size == 1:
            return flag
        said = torch.tensor(float(flag), device=self._device)
        dist.all_reduce(said, op=dist.ReduceOp.MAX)
        return bool(said.item())

    def broadcast(self, value: Any) -> Any:
        """The main process's `value`, a plain one, on every process."""
        if self.world_size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self._device)
        return box[0]

    def broadcast_weights(self, module: nn.Module) -> None:
        """Every process gets the parameters and buffers of the main one."""
        if self.world_size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def average(self, parameters: Sequence[nn.Parameter], buffers: Sequence[Tensor]) -> None:
        """Gradients and buffers become the mean over the processes.

        A parameter without gradient in every process keeps none, so that it is left alone as with one process.
        """
        if self.world_size == 1:
            return
        counts = torch.tensor([float(p.grad is not None) for p in parameters], device=self._device)
        dist.all_reduce(counts)
        used = [parameter for parameter, count in zip(parameters, counts.tolist(), strict=True) if count]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in used if parameter.grad is not None]
        self._average([*gradients, *(buffer for buffer in buffers if buffer.is_floating_point())])

    def _average(self, tensors: list[Tensor]) -> None:
        bucket: list[Tensor] = []
        for index, tensor in enumerate(tensors):
            bucket.append(tensor)
            if index == len(tensors) - 1 or sum(x.numel() for x in bucket) >= BUCKET_NUMBERS:
                flat = torch.cat([x.detach().reshape(-1).float() for x in bucket])
                dist.all_reduce(flat)
                flat /= self.world_size
                for x, mean in zip(bucket, torch.split(flat, [x.numel() for x in bucket]), strict=True):
                    x.detach().copy_(mean.view(x.shape))
                bucket = []
