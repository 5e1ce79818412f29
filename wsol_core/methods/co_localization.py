"""Where images show what is common to them: a hint for maps, from pretrained features that stay as they are."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsol_core.data.batch import Batch
from wsol_core.methods.losses import dice_loss
from wsol_core.methods.self_training import softened_cuts
from wsol_core.networks.backbones import Backbone
from wsol_core.records import NO_REGION

STRIDE = 16  # px, of the last two stages
# docs/methods.md says what changing each number did.
RING = 2  # cells around the image that its mirror image fills, so that cells at the edge see no padding
MEANS_MOMENTUM = 0.1
LEAST_TOLD = 0.75  # of images, whose middles are told from their borders: fewer, and middles are no hint
SOFTNESS = 0.6  # exponent of the maps, by which graph cuts get objects of the right size


class CoLocalizer(nn.Module):
    """Common maps of images, by what their middles show more often than their borders.

    Each cell is described by the features of the backbone's last two stages, each of length 1. Over a project the mean
    description of middles differs from that of borders by the object alone, once images are moved at random so that a
    cell's place in the network tells nothing. Cells on the middles' side of that difference are nearly all the
    object's; their mean and that of all others give the difference that counts. After Wei et al., "Deep Descriptor
    Transforming", IJCAI 2017, arXiv:1705.02758, where it is the first principal component. Where people drew objects,
    those take the place of middles.

    Args: backbone: its last two stages have STRIDE. The copy that is kept does not train, since features that
        learn from their own hint make it ever easier.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        count = sum(backbone.channels[2:])
        self.register_buffer("of_middles", torch.zeros(2, count))
        self.register_buffer("of_objects", torch.zeros(2, count))
        self.register_buffer("told", torch.tensor(0.0))
        self.eval()

    of_middles: Tensor  # running mean descriptions of middles and borders
    of_objects: Tensor  # and of the cells on the one side and on the other
    told: Tensor  # running share of images whose middle the means of images before told from its border

    def train(self, mode: bool = True) -> CoLocalizer:
        """Never: its statistics are those of the features that it was made of."""
        return super().train(False)

    def complete(self, state: dict[str, Tensor], prefix: str) -> None:
        """Adds to the state of the method under `prefix` what checkpoints from before there was a hint like this lack.

        It then goes on with the features as they were in the checkpoint.
        """
        own = f"{prefix}co_localizer."
        if f"{own}of_middles" not in state:
            new = {f"{own}{name}": torch.zeros_like(value) for name, value in self.named_buffers(recurse=False)}
            features = {
                f"{own}backbone.{name}": state[f"{prefix}backbone.{name}"] for name in self.backbone.state_dict()
            }
            state.update(new | features)

    @torch.no_grad()
    def forward(self, batch: Batch) -> Tensor:
        """(B, h, w) in [0, 1] at the stride of the last stage; the running means are updated."""
        images, seeds = _shifted(batch.images, _seeds(batch))
        shifted = self.descriptions(images)
        seeds = F.avg_pool2d(seeds[:, None], STRIDE)[:, 0] > 0.5
        if self.of_middles.any():
            _follow(self.told, _share_told(_side(shifted, self.of_middles), seeds))
        _update(self.of_middles, shifted, seeds)
        cells = self.descriptions(batch.images)
        on = _side(cells, self.of_middles) > 0
        _update(self.of_objects, cells, on)
        common = _side(cells, self.of_objects).clamp(min=0)
        return (common / common.amax((1, 2), keepdim=True).clamp(min=1e-6)) ** SOFTNESS

    def loss(self, batch: Batch, maps: Tensor) -> Tensor:
        """Of maps (B, h, w) in [0, 1], as far as the hint is clear."""
        common = self(batch)
        return self.clearness * co_localization_loss(batch, maps, common)

    @property
    def clearness(self) -> float:
        """How far the hint is to be followed, in [0, 1]: not at all where objects stand just anywhere."""
        return max(0.0, (float(self.told) - LEAST_TOLD) / (1 - LEAST_TOLD))

    def descriptions(self, images: Tensor) -> Tensor:
        """(B, h, w, D) of images (B, 3, S, S): features of the last two stages, each of length 1."""
        by = RING * STRIDE
        features = self.backbone(F.pad(images, (by,) * 4, mode="reflect"))[2:]
        inner = [F.pad(F.normalize(each.float(), dim=1), (-RING,) * 4) for each in features]
        return torch.cat(inner, 1).movedim(1, 3)


def co_localization_loss(batch: Batch, maps: Tensor, common: Tensor) -> Tensor:
    """Binary cross-entropy and dice of maps (B, h, w) that nobody corrected, with graph cuts of the common maps."""
    weak = batch.region_kind == NO_REGION
    maps, common = maps[weak].clamp(1e-6, 1 - 1e-6), common[weak]
    if not len(maps):
        return maps.sum() * 0
    target = softened_cuts(batch.images[weak], common, maps.shape[1:])
    return F.binary_cross_entropy(maps, target) + dice_loss(maps, target)


def _seeds(batch: Batch) -> Tensor:
    """(B, S, S) of 0 and 1: the inner half of each side, or what people drew."""
    side = batch.images.shape[-1]
    drawn = F.interpolate(batch.region[:, None].float(), size=(side, side))[:, 0]
    middle = torch.zeros_like(drawn)
    middle[:, side // 4 : side - side // 4, side // 4 : side - side // 4] = 1
    return torch.where((batch.region_kind == NO_REGION)[:, None, None], middle, drawn)


def _shifted(images: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
    """Both moved by up to half of their side, their mirror images beyond the edge. Random numbers are torch's."""
    side = images.shape[-1]
    by = side // 2
    y, x = torch.randint(2 * by, (2,)).tolist()
    views = (F.pad(each, (by,) * 4, mode="reflect") for each in (images, seeds[:, None]))
    images, seeds = (each[:, :, y : y + side, x : x + side] for each in views)
    return images, seeds[:, 0]


def _share_told(sides: Tensor, seeds: Tensor) -> Tensor:
    """The share of images whose seeds lie more on the first mean's side than their other cells do."""
    on, off = (
        (sides * each).sum((1, 2)) / each.sum((1, 2)).clamp(min=1) for each in (seeds.float(), 1 - seeds.float())
    )
    return (on > off).float().mean()


def _update(means: Tensor, cells: Tensor, on: Tensor) -> None:
    if on.all() or not on.any():
        return
    _follow(means, torch.stack([cells[on].mean(0), cells[~on].mean(0)]))


def _follow(running: Tensor, found: Tensor) -> None:
    running.lerp_(found, MEANS_MOMENTUM if running.any() else 1.0)


def _side(cells: Tensor, means: Tensor) -> Tensor:
    """(B, h, w): 1/2 at the first mean, -1/2 at the second, linear between them and beyond."""
    difference = means[0] - means[1]
    return ((cells - means.mean(0)) * difference).sum(-1) / difference.square().sum().clamp(min=1e-12)
