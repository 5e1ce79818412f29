"""Boxes from an exported model, with onnxruntime, numpy and Pillow alone.

boxstrap models export model --format onnx --out model.onnx
python localize_with_onnx.py model.onnx picture.jpg ...
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps

Found = tuple[Any, Any, NDArray[Any]]  # class, score, box xyxy in shares of the picture

session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["boxstrap.json"])
side, names = about["side_px"], [output.name for output in session.get_outputs()]


def peaks(centres: NDArray[Any], boxes: NDArray[Any]) -> Iterator[Found]:
    """(class, score, box in shares) of each place that is surer to be a centre than its neighbours."""
    heat = np.pad(centres.max(axis=0), 1)
    h, w = centres.shape[1:]
    around = np.max([heat[i : i + h, k : k + w] for i in range(3) for k in range(3)], axis=0)
    for row, column in np.argwhere((around == heat[1:-1, 1:-1]) & (around >= max(0.1, about["least_centre"]))):
        label = centres[:, row, column].argmax()
        yield label, centres[label, row, column], boxes[:, row, column].clip(0, 1)


def around_map(scores: NDArray[Any], maps: NDArray[Any]) -> Iterator[Found]:
    """The same for a model that does not tell objects apart: what its map covers of the most probable class."""
    label = scores.argmax()
    rows, columns = np.nonzero(maps[label % len(maps)] > about["threshold"])
    if len(rows):
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / maps.shape[1]
        yield label, scores[label], box


for path in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BOX))[None]
    found = {name: values[0] for name, values in zip(names, session.run(None, {"images": pixels}), strict=True)}
    objects = (
        peaks(found["centres"], found["boxes"]) if "boxes" in found else around_map(found["scores"], found["maps"])
    )
    for label, score, box in objects:
        x0, y0, x1, y1 = (box * np.tile(image.size, 2)).round(1).tolist()
        print(f"{path}: {about['classes'][label]} {score:.2f} at {x0}, {y0}, {x1}, {y1}")
