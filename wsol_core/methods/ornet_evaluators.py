"""ORNet's classifiers: a backbone pooled into logits, and torchvision's whole VGG16 as the released evaluator."""

from __future__ import annotations

from collections.abc import Mapping

import torchvision
from torch import Tensor, nn

from wsol_core.errors import WeightsError

IMAGENET_CLASSES = 1000
LAST = "classifier.6"


class PooledClassifier(nn.Module):
    """Stages of a backbone, pooled into class logits."""

    def __init__(self, stages: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.stages = stages
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) logits."""
        logits: Tensor = self.head(self.stages(x).mean((2, 3)))
        return logits


class Vgg16Evaluator(nn.Module):
    """torchvision's VGG16 with its two fully connected layers and their dropout.

    The last layer is its own for ImageNet's 1,000 classes, and a new one for other numbers of them.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # The stock initialization takes seconds, and ImageNet's weights replace it.
        self.network = torchvision.models.vgg16(weights=None, init_weights=False)
        self.keeps_last = num_classes == IMAGENET_CLASSES
        if not self.keeps_last:
            self.network.classifier[6] = nn.Linear(4096, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) logits."""
        logits: Tensor = self.network(images)
        return logits

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Takes torchvision's weights of VGG16, but for the last layer where that is new."""
        kept = {name: value for name, value in state.items() if self.keeps_last or not name.startswith(LAST)}
        try:
            missing = self.network.load_state_dict(kept, strict=False)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise WeightsError(
                f"The weights do not fit vgg16 ({reason}); use torchvision's state dict of it."
            ) from error
        wrong = [name for name in missing.missing_keys if self.keeps_last or not name.startswith(LAST)]
        if wrong or missing.unexpected_keys:
            name = (wrong or missing.unexpected_keys)[0]
            raise WeightsError(f"The weights of vgg16 lack or add {name}; use torchvision's state dict of it, whole.")
