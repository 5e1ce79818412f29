"""Weights: which file is found, what is refused, and what happens without any."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from wsol_core.errors import WeightsError
from wsol_core.networks.backbones import build_backbone
from wsol_core.networks.pretrained import find_weights, load_weights, own_state, pretrained_state


def test_pt_is_found_before_safetensors(tmp_path: Path) -> None:
    (tmp_path / "resnet18.safetensors").touch()
    assert find_weights("resnet18", tmp_path) == tmp_path / "resnet18.safetensors"
    (tmp_path / "resnet18.pt").touch()
    assert find_weights("resnet18", tmp_path) == tmp_path / "resnet18.pt"
    assert find_weights("resnet50", tmp_path) is None


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_both_kinds_of_file_load(tmp_path: Path, suffix: str) -> None:
    state = {"weight": torch.arange(3.0)}
    path = tmp_path / f"tiny{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    assert torch.equal(load_weights(path)["weight"], state["weight"])


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_torn_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(WeightsError, match=name):
        load_weights(tmp_path / name)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"model\.pt"):
        load_weights(tmp_path / "model.pt")


def test_without_file_and_download_a_warning_says_where_to_put_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert pretrained_state("resnet18", None, allow_download=False) is None
    assert "put resnet18.pt into a folder and give that folder as weights_dir" in caplog.text


def test_a_failed_download_falls_back_with_a_warning_in_a_faked_network(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", refuse)
    with caplog.at_level(logging.WARNING):
        assert pretrained_state("resnet18", None, allow_download=True) is None
    assert "no route to host" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "module.", "module.backbone."])
def test_weights_of_ones_own_fit_whatever_a_training_script_put_before_them(tmp_path: Path, prefix: str) -> None:
    model = torchvision.models.resnet18(num_classes=7)
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": {**state, "projector.weight": torch.zeros(2)}}, tmp_path / "own.pt")
    backbone = build_backbone("resnet18", state=own_state(tmp_path / "own.pt") if prefix else model.state_dict())
    first = next(iter(backbone.stages[0].children()))
    assert torch.equal(first.weight, model.conv1.weight)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "own.pt")
    with pytest.raises(WeightsError, match="The weights do not fit resnet18"):
        build_backbone("resnet18", state=own_state(tmp_path / "own.pt"))
    with pytest.raises(WeightsError, match="There are no weights at"):
        own_state(tmp_path / "none.pt")


def test_the_tiny_backbone_has_no_weights_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert pretrained_state("tiny", None, allow_download=True) is None
    assert caplog.text == ""


def test_the_default_begins_with_the_weights_that_it_was_measured_with(tmp_path: Path) -> None:
    for version, value in (
        ("mobilenet_v2", 1.0),
        ("mobilenet_v2.IMAGENET1K_V2", 2.0),
        ("mobilenet_v2.IMAGENET1K_V1", 3.0),
    ):
        torch.save({"weight": torch.tensor(value)}, tmp_path / f"{version}.pt")
    state = pretrained_state("mobilenet_v2", tmp_path, allow_download=False)
    assert state == {"weight": torch.tensor(3.0)}
    state = pretrained_state("mobilenet_v2", tmp_path, allow_download=False, version="IMAGENET1K_V2")
    assert state == {"weight": torch.tensor(2.0)}


def test_weights_of_timm_lie_in_the_folder_by_timms_name(tmp_path: Path) -> None:
    save_file({"weight": torch.arange(2.0)}, tmp_path / "resnet18.a1_in1k.safetensors")
    state = pretrained_state("timm:resnet18.a1_in1k", tmp_path, allow_download=False)
    assert state is not None and state["weight"].tolist() == [0, 1]


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], torch.zeros(1)])
def test_a_file_without_a_state_dict_is_a_sentence(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt holds no state dict"):
        load_weights(tmp_path / "other.pt")
