"""Call a module that is not to learn from the call."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call


def frozen_call(module: nn.Module, inputs: Tensor) -> Tensor:
    """The output of `module` for `inputs`, with its parameters detached and its buffers copied.

    Gradients reach the inputs alone, and BatchNorm layers in training mode normalise by the batch without changing
    their running statistics. BAS's suppression term needs it, see `background_activation_loss`.
    """
    state = {name: value.detach() for name, value in module.named_parameters()}
    state |= {name: value.clone() for name, value in module.named_buffers()}
    output: Tensor = functional_call(module, state, (inputs,))
    return output
