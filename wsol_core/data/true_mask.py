"""The union of the mask files of corrected regions, at the size of their image. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from wsol_core.data.images import open_mask
from wsol_core.ops.maps import resize
from wsol_core.ops.masks import inside_box
from wsol_core.records import BoolMask, CorrectedRegion


def true_mask(regions: Sequence[CorrectedRegion], size_wh: tuple[int, int], *, within_boxes: bool) -> BoolMask | None:
    """The union (H, W) of the regions' masks; None where a region has no mask.

    Args: within_boxes: count of each mask only the part inside its region's box, as in training, where a mask that is
        empty there says nothing; else whole files count, as evaluation has always measured.
    Raises: DataError for a mask that cannot be read.
    """
    paths = dict.fromkeys(region.mask_path for region in regions)
    files = {path: resize(open_mask(path), size_wh, cv2.INTER_NEAREST) > 0 for path in paths if path is not None}
    if len(files) < len(paths):
        return None
    parts = list(files.values())
    if within_boxes:
        parts = [inside_box(files[region.mask_path], region.box_xyxy) for region in regions if region.mask_path]
        if not all(part.any() for part in parts):
            return None
    union = np.zeros(size_wh[::-1], np.bool_)
    for part in parts:
        union |= part
    return union
