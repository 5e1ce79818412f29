"""Exported graphs compute what the predictor does, for any number of pictures."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.graphs import differences, graphs
from tests.wsol_core.exports.exported import image_file
from tests.wsol_core.methods.method_batches import tiny_method
from wsol_core.config import TrainConfig
from wsol_core.errors import ConfigError
from wsol_core.exports.graph import ABOUT, export_onnx, export_torchscript
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import save_model
from wsol_core.methods.boxstrap import Boxstrap
from wsol_core.records import Sample
from wsol_core.registry import BUILT_IN

SIDE = 64
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "localize_with_onnx.py"


def model_folder(folder: Path, name: str, multi_label: bool = False, objects: bool = True) -> Path:
    """A model with random weights, as it is after the last stage of its training."""
    torch.manual_seed(0)
    method = tiny_method(name, 3, multi_label=multi_label)
    for stage in method.stages:
        method.begin_stage(stage)
    method.choose_objects(0.001 if objects else None)
    if isinstance(method, Boxstrap):
        torch.nn.init.zeros_(method.instances.shared.bias)  # else no place is a centre
        method.dims.fill_(True)  # as with pretrained features
    card = ModelCard(
        TrainConfig(method=name, backbone="tiny", side_px=SIDE), ("a", "b", "c"), multi_label, 0.5, "by hand"
    )
    save_model(folder, method, card)
    return folder


def samples(folder: Path) -> list[Sample]:
    return [Sample(f"{i}.png", image_file(folder / f"{i}.png", (90, 70), i), ()) for i in range(9)]


@pytest.mark.slow
@pytest.mark.parametrize(("multi_label", "objects"), [(False, True), (True, False)])
def test_both_graphs_of_the_default_are_the_predictor(multi_label: bool, objects: bool, tmp_path: Path) -> None:
    model = model_folder(tmp_path / "model", "boxstrap", multi_label, objects)
    for graph in graphs(model, tmp_path).values():
        far = differences(model, samples(tmp_path), graph)
        assert set(far) == {"scores", "maps", *(("centres", "boxes") if objects else ())}
        assert max(far.values()) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"boxstrap"}))
def test_torchscript_of_every_other_method_is_the_predictor(name: str, tmp_path: Path) -> None:
    model = model_folder(tmp_path / "model", name)
    export_torchscript(model, tmp_path / "model.pt")
    script = torch.jit.load(tmp_path / "model.pt")

    def run(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        with torch.no_grad():
            scores, maps = script(torch.from_numpy(pixels))
        return {"scores": scores.numpy(), "maps": maps.numpy()}

    assert max(differences(model, samples(tmp_path), run).values()) < 1e-3


def test_a_torchscript_file_says_what_else_is_needed(tmp_path: Path) -> None:
    export_torchscript(model_folder(tmp_path / "model", "cam"), tmp_path / "model.pt")
    extra = {ABOUT: ""}
    torch.jit.load(tmp_path / "model.pt", _extra_files=extra)
    facts = json.loads(extra[ABOUT])
    assert (facts["classes"], facts["side_px"], facts["threshold"]) == (["a", "b", "c"], SIDE, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("objects", [True, False])
def test_the_example_needs_nothing_but_onnxruntime_numpy_and_pillow(
    objects: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_onnx(model_folder(tmp_path / "model", "boxstrap", objects=objects), tmp_path / "model.onnx")
    Image.new("RGB", (90, 70), (200, 30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "model.onnx"), str(tmp_path / "a.png")])
    runpy.run_path(str(EXAMPLE))
    assert f"{tmp_path / 'a.png'}: " in capsys.readouterr().out
    source = EXAMPLE.read_text(encoding="utf-8")
    imported = {re.split(r"[ .]", line)[1] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "PIL"}


def test_a_missing_package_is_a_sentence_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"package onnx.* pip install 'boxstrap\[onnx\]'"):
        export_onnx(model_folder(tmp_path / "model", "cam"), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
