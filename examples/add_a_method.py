"""A method of your own in one file: CAM whose map is the mean over all classes, trained for a moment.

    python examples/add_a_method.py --out trained

To make it known to the command line and the service too, put the class into a package and name its module in the
package's pyproject.toml:

    [project.entry-points."boxstrap.methods"]
    mean_cam = "my_package.mean_cam"
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core import (
    METHODS,
    Backbone,
    Batch,
    Localization,
    LossTerms,
    Prediction,
    Predictor,
    TrainConfig,
    WsolMethod,
    draw_folder,
    fit,
    read_folder,
    register_method,
)


@register_method("mean_cam")
class MeanCam(WsolMethod):
    """One map for all classes: the mean of the positive class activation maps."""

    stages = ("classify",)
    default_epochs: ClassVar[dict[str, int]] = {"classify": 12}
    strides = (4, 8, 16, 16)

    def __init__(self, backbone: Backbone, num_classes: int, multi_label: bool, pretrained: bool) -> None:
        super().__init__(num_classes, multi_label, pretrained)
        self.backbone = backbone
        self.head = nn.Conv2d(backbone.channels[3], num_classes, 1)

    def begin_stage(self, stage: str) -> None:
        """Let everything learn."""
        self.requires_grad_(True)

    def parameter_groups(self, stage: str) -> list[dict[str, Any]]:
        """The head learns faster than pretrained features."""
        features, head = list(self.backbone.parameters()), list(self.head.parameters())
        return [
            {"params": features, "lr": 1e-3 if self.pretrained else 2e-2, "weight_decay": 5e-4},
            {"params": head, "lr": 1e-2, "weight_decay": 5e-4},
        ]

    def training_step(self, batch: Batch, stage: str, progress: float) -> LossTerms:
        """Independent cross-entropy of each class; `fit` adds up the terms and logs each."""
        logits = self.head(self.backbone(batch.images)[3]).mean((2, 3))
        return {"classification": F.binary_cross_entropy_with_logits(logits.float(), batch.labels)}

    def forward(self, images: Tensor) -> Prediction:
        """Logits (B, C), and one map (B, 1, S/16, S/16) in [0, 1]."""
        class_maps = self.head(self.backbone(images)[3]).float()
        positive = class_maps.relu().mean(1, keepdim=True)
        peak = positive.amax((2, 3), keepdim=True).clamp(min=1e-6)
        return Prediction(class_maps.mean((2, 3)), positive / peak)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw a few images, train the method on them, open the model, and print what it finds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("trained"), help="folder for the images and the model")
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args(arguments)

    print(f"Methods: {', '.join(METHODS)}")
    draw_folder(given.out / "images", classes=2, images=16, seed=0)
    data = read_folder(given.out / "images")
    config = TrainConfig(method="mean_cam", backbone="tiny", epochs=given.epochs, batch_size=8, side_px=64)
    fit(config, data.samples, data.classes, given.out / "model")
    for found in Predictor.open(given.out / "model").localize(data.samples[:4]):
        if isinstance(found, Localization):
            print(found.file, found.label, [region.box_xyxy for region in found.regions])


if __name__ == "__main__":
    main()
