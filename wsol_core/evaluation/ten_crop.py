"""Ten-crop classification: the corners and the middle of an enlarged image, and the same mirrored."""

from __future__ import annotations

import numpy as np
import torch

from wsol_core.data.images import RgbPixels, open_image_small, resize_to_square
from wsol_core.data.normalization import to_images
from wsol_core.devices import autocast
from wsol_core.errors import DataError
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Sample, Unreadable

Scores = dict[str, float]
RESIZED_SHARE = 8 / 7  # 256 pixels for crops of 224


def resized(sample: Sample, side_px: int) -> tuple[RgbPixels, tuple[int, int]] | Unreadable:
    """The sample's image at 8/7 of `side_px`, squashed to a square, and (width, height) of the file's."""
    whole = round(side_px * RESIZED_SHARE)
    try:
        pixels, size_wh = open_image_small(sample.path, whole, sample.file)
    except DataError as error:
        return Unreadable(sample.file, str(error))
    return resize_to_square(pixels, whole), size_wh


def ten_crops(pixels: RgbPixels, side_px: int) -> RgbPixels:
    """(10, side_px, side_px, 3): four corners and the middle of square pixels, then the same mirrored."""
    end = len(pixels) - side_px
    corners = ((0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2))
    crops = np.stack([pixels[y : y + side_px, x : x + side_px] for y, x in corners])
    return np.concatenate([crops, crops[:, :, ::-1]])


def ten_crop_scores(predictor: Predictor, pixels: RgbPixels) -> Scores:
    """Class -> probability, averaged over the ten crops of pixels from `resized`."""
    crops = ten_crops(pixels, predictor.card.config.side_px)
    with torch.inference_mode(), autocast(predictor.device, predictor.precision):
        logits = predictor.method.class_scores(to_images(crops, predictor.device))
    probabilities = predictor.method.probabilities(logits.float()).mean(0)
    return dict(zip(predictor.card.classes, probabilities.tolist(), strict=True))
