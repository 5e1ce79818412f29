"""Which device and which number format."""

from __future__ import annotations

import pytest
import torch

from wsol_core import devices as precision
from wsol_core.devices import autocast, choose_device, choose_precision
from wsol_core.errors import ConfigError

CPU = torch.device("cpu")


def test_the_cpu_is_what_is_left_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(ConfigError, match="'cuda' is not here: torch sees 0"):
        choose_device("cuda")


def test_every_process_takes_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", local_rank=1) == torch.device("cuda", 1)
    assert choose_device("cuda:0", local_rank=1) == torch.device("cuda", 0)
    with pytest.raises(ConfigError, match="torch sees 2"):
        choose_device("cuda:5")


@pytest.mark.parametrize("name", ["gpu", "mps", "meta", ""])
def test_an_unknown_device_is_an_error_that_names_the_known(name: str) -> None:
    with pytest.raises(ConfigError, match="choose auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.parametrize(("native", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_chosen_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, chosen: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: native)
    assert choose_precision(CPU) == chosen
    assert choose_precision(CPU, "float32") == torch.float32
    assert choose_precision(CPU, "bfloat16") == torch.bfloat16


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'float16'"):
        choose_precision(CPU, "float16")


def test_a_cpu_that_torch_knows_nothing_of_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get_capabilities", "_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert choose_precision(CPU) == torch.float32


def test_autocast_runs_products_in_the_precision_and_float32_switches_it_off() -> None:
    x = torch.ones(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with autocast(CPU, torch.float32):
            assert (x @ x).dtype == torch.float32
