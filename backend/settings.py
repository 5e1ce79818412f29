"""What Boxstrap reads from environment variables, all of it; no other module of ours reads the environment.

    variable            meaning                                                       default
    WSOL_WEIGHTS_DIR    folder with pretrained weights, <backbone>.pt or .safetensors   none: torchvision downloads them
    BOXSTRAP_DEBUG      1: unexpected errors show their traceback, all logs are shown   0
    RANK                torchrun's: this process among all, from 0                      0
    WORLD_SIZE          torchrun's: how many processes train together                   1
    LOCAL_RANK          torchrun's: this process on its machine, from 0                 0

torch itself reads MASTER_ADDR and MASTER_PORT, which torchrun sets too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsol_core.errors import ConfigError

YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment's settings, checked. `rank` is below `world_size`."""

    weights_dir: Path | None = None
    debug: bool = False
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that talks to the user."""
        return self.rank == 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings of `environ` (None: the process's own); ConfigError names a variable without meaning."""
        values = os.environ if environ is None else environ
        world_size = _count(values, "WORLD_SIZE", 1, at_least=1)
        rank = _count(values, "RANK", 0)
        if rank >= world_size:
            raise ConfigError(f"RANK is {rank} and WORLD_SIZE {world_size}; ranks count from 0. Let torchrun set both.")
        return cls(
            weights_dir=_folder(values, "WSOL_WEIGHTS_DIR"),
            debug=_flag(values, "BOXSTRAP_DEBUG"),
            rank=rank,
            world_size=world_size,
            local_rank=_count(values, "LOCAL_RANK", 0),
        )


def _folder(values: Mapping[str, str], name: str) -> Path | None:
    text = values.get(name, "").strip()
    if not text:
        return None
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{name} is {text!r}, which is no folder; correct the variable or unset it.")
    return folder


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in YES + NO:
        raise ConfigError(f"{name} is {text!r}; set it to 1 or 0, or unset it.")
    return text in YES


def _count(values: Mapping[str, str], name: str, default: int, at_least: int = 0) -> int:
    text = values.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < at_least:
        raise ConfigError(f"{name} is {text!r}; it has to be a whole number, {at_least} or more, as torchrun sets it.")
    return int(text)
