"""`python -m benchmarks.graphs MODEL IMAGES`: do an exported model's graphs compute what its Predictor does?

Exports the model as ONNX and TorchScript, and prints how far scores, maps, centres and boxes are from the predictor's
on real images. Maps are compared as they are before they are snapped to the image's edges.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsol_core.data.folder import read_folder
from wsol_core.exports.graph import export_onnx, export_torchscript
from wsol_core.localization.inference import decode
from wsol_core.localization.model_folder import load_model
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Sample, Unreadable

BATCH = 7  # no divisor of the usual numbers of images, so that the last batch is smaller

Arrays = Mapping[str, NDArray[np.float32]]
Graph = Callable[[NDArray[np.uint8]], Arrays]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the largest difference of each output for both kinds of files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=50, help="images, evenly over the folder")
    options = parser.parse_args(arguments)
    samples = read_folder(options.images, labelled=False).samples
    samples = samples[:: max(1, len(samples) // options.count)][: options.count]
    with tempfile.TemporaryDirectory() as folder:
        for kind, graph in graphs(options.model, Path(folder)).items():
            far = differences(options.model, samples, graph)
            figures = ", ".join(f"{name} {value:.1e}" for name, value in far.items())
            print(f"{kind}, {len(samples)} images: {figures}")


def graphs(model: Path, folder: Path) -> dict[str, Graph]:
    """Both files of a model, opened."""
    import onnxruntime

    export_onnx(model, folder / "model.onnx")
    export_torchscript(model, folder / "model.pt")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    script = torch.jit.load(folder / "model.pt")  # type: ignore[no-untyped-call]

    def run_script(pixels: NDArray[np.uint8]) -> Arrays:
        with torch.no_grad():
            return dict(zip(names, (value.numpy() for value in script(torch.from_numpy(pixels))), strict=True))

    return {
        "onnxruntime": lambda pixels: dict(zip(names, session.run(None, {"images": pixels}), strict=True)),
        "TorchScript": run_script,
    }


def differences(model: Path, samples: Sequence[Sample], graph: Graph) -> dict[str, float]:
    """The largest difference of each output from the predictor's."""
    method, card = load_model(model)
    predictor = Predictor(method, replace(card, refine_edges=False), "cpu", "float32")
    far: dict[str, float] = {}
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        found = _rows(graph(_pixels(predictor, batch)))
        for (wanted, seen), arrays in zip(_predicted(predictor, batch), found, strict=True):
            for name, values in wanted.items():
                mine = arrays[name] if name != "maps" or len(arrays[name]) == 1 else arrays[name][seen]
                far[name] = max(far.get(name, 0.0), float(np.abs(values - mine).max()))
    return far


def _predicted(predictor: Predictor, samples: Sequence[Sample]) -> Iterator[tuple[Arrays, list[int]]]:
    """Per image what the predictor has of it, with `maps` of the classes that it sees, and the indices of those."""
    for image in predictor.activation_maps(samples, batch_size=BATCH):
        assert not isinstance(image, Unreadable), image
        classes = predictor.card.classes
        arrays = {
            "scores": np.array([image.scores[name] for name in classes], np.float32),
            "maps": np.stack(list(image.maps.values())),
        }
        if image.fields is not None:
            arrays |= {"centres": image.fields.centres, "boxes": image.fields.boxes}
        yield arrays, [classes.index(name) for name in image.maps]


def _pixels(predictor: Predictor, samples: Sequence[Sample]) -> NDArray[np.uint8]:
    decoded = [decode(sample, (predictor.card.config.side_px,)) for sample in samples]
    return np.stack([image.inputs[0] for image in decoded if not isinstance(image, Unreadable)])


def _rows(arrays: Arrays) -> Iterator[Arrays]:
    for index in range(len(arrays["scores"])):
        yield {name: values[index] for name, values in arrays.items()}


if __name__ == "__main__":
    main()
