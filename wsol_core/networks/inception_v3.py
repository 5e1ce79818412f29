"""InceptionV3 in four stages whose sides are the image's over 4, 8, ..., by the padding that BAS's release adds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import Inception3

# Of ImageNet's mean and standard deviation; the weights were trained on pixels from -1 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class OwnRange(nn.Module):
    """Images (B, 3, S, S) without ImageNet's mean and deviation, in the range from -1 to 1 of the network's weights."""

    def forward(self, images: Tensor) -> Tensor:
        """As torchvision's `transform_input`."""
        mean, std = images.new_tensor(MEAN)[:, None, None], images.new_tensor(STD)[:, None, None]
        return images * (std / 0.5) + (mean - 0.5) / 0.5


class Reduction(nn.Module):
    """Several branches of convolutions and a max-pool beside them, their last layers at one stride, padded by 1."""

    def __init__(self, branches: Sequence[nn.Sequential], stride: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.stride = stride
        for branch in branches:
            for module in branch[-1].modules():
                if isinstance(module, nn.Conv2d):
                    module.stride, module.padding = (stride, stride), (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The branches' channels, then those of `x`."""
        pooled = F.max_pool2d(x, 3, self.stride, padding=1)
        return torch.cat([*(branch(x) for branch in self.branches), pooled], 1)


def inception_v3_stages(model: Inception3, steps: Sequence[int]) -> list[nn.Module]:
    """The stages of torchvision's model, at strides 4, 4 * steps[0] and so on.

    Padding of 1 is added to the first convolution, to the pools, which round up, and to the reductions Mixed_6a and
    Mixed_7a.
    """
    model.Conv2d_1a_3x3.conv.padding = (1, 1)
    if steps[0] == 1:  # the pool does not round up what the convolution before it cuts off
        model.Conv2d_4a_3x3.conv.padding = (1, 1)
    b, d = model.Mixed_6a, model.Mixed_7a
    mixed_6a = Reduction(
        [
            nn.Sequential(b.branch3x3),
            nn.Sequential(b.branch3x3dbl_1, b.branch3x3dbl_2, b.branch3x3dbl_3),
        ],
        steps[1],
    )
    mixed_7a = Reduction(
        [
            nn.Sequential(d.branch3x3_1, d.branch3x3_2),
            nn.Sequential(d.branch7x7x3_1, d.branch7x7x3_2, d.branch7x7x3_3, d.branch7x7x3_4),
        ],
        steps[2],
    )
    return [
        nn.Sequential(OwnRange(), model.Conv2d_1a_3x3, model.Conv2d_2a_3x3, model.Conv2d_2b_3x3, _pool(2)),
        nn.Sequential(
            model.Conv2d_3b_1x1,
            model.Conv2d_4a_3x3,
            _pool(steps[0]),
            model.Mixed_5b,
            model.Mixed_5c,
            model.Mixed_5d,
        ),
        nn.Sequential(mixed_6a, model.Mixed_6b, model.Mixed_6c, model.Mixed_6d, model.Mixed_6e),
        nn.Sequential(mixed_7a, model.Mixed_7b, model.Mixed_7c),
    ]


def _pool(stride: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride, padding=1, ceil_mode=True)
