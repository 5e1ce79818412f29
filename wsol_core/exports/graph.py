"""A trained model as one graph, for programs without wsol_core: ONNX or TorchScript.

    images   (N, S, S, 3) uint8, upright RGB resized to S pixels a side; shrinking has to average
    scores   (N, C) float32, probabilities of the classes
    maps     (N, C, 224, 224) float32 in [0, 1], an activation map a class; (N, 1, 224, 224) where one serves all
    centres  (N, C, h, w) float32 in [0, 1], how sure a place is an object's centre   } of models that tell
    boxes    (N, 4, h, w) float32, x0, y0, x1, y1 in shares of the image              } single objects apart

N is any number. Maps are the predictor's, but not snapped to the image's edges, which no graph can do; of a model of
several classes an image they compete with those of the classes that it sees. `about` says what else is needed.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wsol_core.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from wsol_core.errors import ConfigError
from wsol_core.files import write_whole
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import load_model
from wsol_core.localization.predictor import PRESENT
from wsol_core.localization.refinement import SIDE_PX
from wsol_core.methods.base import WsolMethod

ABOUT = "boxstrap.json"  # the name of `about` in a TorchScript file, and in ONNX's metadata
LARGEST_DIFFERENCE = 1e-3
_LEAST_RANGE = 1e-9  # of a map that is not constant
_ODDS = 1e-4


class LocalizationGraph(nn.Module):
    """What the graph computes; see the module for its input and outputs."""

    def __init__(self, method: WsolMethod, card: ModelCard) -> None:
        super().__init__()
        self.method = _with_plain_flags(method)
        self._competes = method.maps_compete and card.multi_label and len(card.classes) > 1
        self._multi_label = card.multi_label
        scale = [1 / (255 * std) for std in IMAGENET_STD]
        shift = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
        self.register_buffer("scale", torch.tensor(scale)[:, None, None])
        self.register_buffer("shift", torch.tensor(shift)[:, None, None])

    scale: Tensor
    shift: Tensor

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """scores, maps and, where the model tells objects apart, centres and boxes."""
        found = self.method(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        scores = self.method.probabilities(found.logits.float())
        maps = found.maps.float()
        if self._competes and maps.shape[1] > 1:
            maps = _competing(maps, scores)
        maps = F.interpolate(maps, size=(SIDE_PX, SIDE_PX), mode="bicubic", align_corners=False)
        low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        maps = (maps - low) / (high - low).clamp(min=_LEAST_RANGE)
        if found.objects is None:
            return scores, maps
        return scores, maps, found.objects.centres.float(), found.objects.boxes.float()


def export_onnx(folder: Path, out: Path) -> ModelCard:
    """Write the model of a folder as an ONNX file.

    Raises:
        CheckpointError: The folder holds no finished model.
        ConfigError: The packages onnx and onnxscript are not installed, or the file does not compute what the model
            does, where onnxruntime is installed to see that.
        StorageError: The file could not be written.
    """
    graph, card, example = _traceable(folder)
    names = output_names(graph, example)
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"An ONNX file needs the package {error.name}, which is not installed: pip install 'boxstrap[onnx]'."
        ) from error
    with _without_warnings():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {ABOUT: json.dumps(about(graph, card), ensure_ascii=False)})
    content = model.SerializeToString()
    _compare_in_onnxruntime(content, graph, example)
    write_whole(out, content)
    return card


def export_torchscript(folder: Path, out: Path) -> ModelCard:
    """Write the model of a folder as a TorchScript file, which `torch.jit.load` opens.

    Raises: CheckpointError and StorageError as `export_onnx` does.
    """
    graph, card, example = _traceable(folder)
    with _without_warnings(), torch.no_grad():
        traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call]
        content = traced.save_to_buffer(_extra_files={ABOUT: json.dumps(about(graph, card), ensure_ascii=False)})
    write_whole(out, content)
    return card


KINDS: Mapping[str, Callable[[Path, Path], ModelCard]] = {"onnx": export_onnx, "torchscript": export_torchscript}


def about(graph: LocalizationGraph, card: ModelCard) -> dict[str, Any]:
    """What a program needs besides the graph: classes, the input's side, thresholds of maps and of centres."""
    return {
        "classes": list(card.classes),
        "side_px": card.config.side_px,
        "multi_label": card.multi_label,
        "threshold": card.threshold,
        "class_thresholds": dict(card.class_thresholds),
        "least_centre": float(getattr(graph.method, "least_centre", 0.0)),
        "most_inside": card.most_inside,
        "box_margin": card.box_margin,
        "refine_edges": card.refine_edges,
        "method": card.config.method,
        "backbone": card.config.backbone,
        "version": card.code_version,
    }


def output_names(graph: LocalizationGraph, example: Tensor) -> list[str]:
    """The names of the graph's outputs."""
    with torch.no_grad():
        return ["scores", "maps", "centres", "boxes"][: len(graph(example))]


def _traceable(folder: Path) -> tuple[LocalizationGraph, ModelCard, Tensor]:
    """The graph of a model folder, its card, and pictures to try it on: of more than one, so that no size is fixed."""
    method, card = load_model(folder)
    side = card.config.side_px
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    return LocalizationGraph(method, card).eval(), card, torch.from_numpy(pixels)


def _with_plain_flags(method: WsolMethod) -> WsolMethod:
    """A copy whose flags are Python's own values: what depends on them is then decided while the graph is made."""
    method = copy.deepcopy(method).to(memory_format=torch.contiguous_format).eval()
    for name, value in list(method.named_buffers(recurse=False)):
        if value.dim() == 0:
            delattr(method, name)
            setattr(method, name, value.item())
    return method


def _competing(maps: Tensor, scores: Tensor) -> Tensor:
    """Maps (N, C, h, w) of which those of the classes seen compete, see `ops.maps.competing`.

    The map of a class that is not seen is what it would be if it were seen, too.
    """
    odds = maps / (1 - maps).clamp(min=_ODDS)
    best = scores.amax(1, keepdim=True)
    seen = (scores >= best.clamp(max=PRESENT))[..., None, None].float()
    total = (odds * seen).sum(1, keepdim=True)
    return odds / (1 + total + odds * (1 - seen))


def _compare_in_onnxruntime(content: bytes, graph: LocalizationGraph, example: Tensor) -> None:
    """ConfigError where the file computes something else; nothing is compared without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for pixels in (example, example[:1]):
        with torch.no_grad():
            wanted = [value.numpy() for value in graph(pixels)]
        found: list[NDArray[np.float32]] = session.run(None, {"images": pixels.numpy()})
        far = max(float(np.abs(a - b).max()) for a, b in zip(wanted, found, strict=True))
        if not far <= LARGEST_DIFFERENCE:
            raise ConfigError(
                f"The ONNX file differs from the model by {far:.2g}, so it is not written; try other versions of torch "
                "and onnxruntime, or TorchScript."
            )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """The exporters warn programmers of what they do inside; users can do nothing about that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
