"""A worker's loaded models; the least recently used is evicted first."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from wsol_core.localization.predictor import Predictor


class ModelCache:
    """Keeps at most `max_bytes` of weights; the model asked for last stays, however large it is."""

    def __init__(self, max_bytes: int, device: str) -> None:
        self._max_bytes, self._device = max_bytes, device
        self._loaded: OrderedDict[Path, tuple[Predictor, int]] = OrderedDict()

    def get(self, folder: Path) -> Predictor:
        """Return the predictor of a version's folder, whose files never change."""
        if folder not in self._loaded:
            predictor = Predictor.open(folder, self._device)
            size = sum(value.numel() * value.element_size() for value in predictor.method.state_dict().values())
            self._loaded[folder] = (predictor, size)
        self._loaded.move_to_end(folder)
        while len(self._loaded) > 1 and sum(size for _, size in self._loaded.values()) > self._max_bytes:
            self._loaded.popitem(last=False)
        return self._loaded[folder][0]

    def __len__(self) -> int:
        return len(self._loaded)
