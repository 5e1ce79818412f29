"""Which device, and which number format on it, for training and prediction alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from wsol_core.errors import ConfigError


def choose_device(setting: str = "auto", local_rank: int = 0) -> torch.device:
    """The device of `setting`: "auto" is CUDA where there is one, else the CPU; "cuda" is the process's own."""
    if setting == "auto":
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(setting)
    except RuntimeError:
        raise ConfigError(f"Device {setting!r} is unknown; choose auto, cpu, cuda or cuda:0.") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"Device {setting!r} is not supported; choose auto, cpu, cuda or cuda:0.")
    if device.type == "cpu":
        return device
    named: int | None = device.index
    index = local_rank if named is None else named
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise ConfigError(f"Device {setting!r} is not here: torch sees {count} CUDA devices. Choose auto or cpu.")
    return torch.device("cuda", index)


def choose_precision(device: torch.device, setting: str = "auto") -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32; "float32" and "bfloat16" overrule.

    Measured on a CPU with AVX512-BF16, mobilenet_v2, channels_last: 10 times as fast forward as float32 in the usual
    layout, and 3 times in training. Without such instructions bfloat16 is emulated and slower than float32.
    """
    if setting == "auto":
        native = (
            torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else _cpu_has_bfloat16()
        )
        return torch.bfloat16 if native else torch.float32
    if setting not in ("float32", "bfloat16"):
        raise ConfigError(f"Precision {setting!r} is unknown; choose auto, float32 or bfloat16.")
    return torch.float32 if setting == "float32" else torch.bfloat16


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The context that runs a model in `dtype`; float32 switches mixed precision off, also inside another autocast."""
    mixed = dtype != torch.float32
    return torch.autocast(device.type, dtype=dtype if mixed else torch.bfloat16, enabled=mixed)


def _cpu_has_bfloat16() -> bool:
    # torch has no public way to ask this, and its private one has changed; no answer means no.
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    asked = [getattr(torch.cpu, f"_is_{name}_supported", bool) for name in ("avx512_bf16", "amx_tile")]
    return any(capabilities().get(name) for name in ("avx512_bf16", "amx_bf16")) or any(ask() for ask in asked)
