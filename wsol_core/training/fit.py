"""`fit`: from labelled images to a model folder.

A share `TrainConfig.holdout` of the images is kept from training; on it, without boxes, the epoch to export is chosen
(see model_selection.py). The steps of a training are in loop.py, what follows them in export.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from wsol_core.config import TrainConfig
from wsol_core.data.loader import BatchLoader, plain_images
from wsol_core.data.transforms import Augmentation
from wsol_core.devices import choose_device
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import read_card
from wsol_core.methods.build import method_options
from wsol_core.networks.backbones import require_backbone
from wsol_core.records import Sample
from wsol_core.training.distributed import Distributed, Peers, process_group
from wsol_core.training.examination import examiner
from wsol_core.training.export import export_model, measure_export, uncalibrated_predictor
from wsol_core.training.initialization import initial_method, resumed_method
from wsol_core.training.loop import TrainingLoop
from wsol_core.training.model_selection import HeldOut, localization_scores
from wsol_core.training.progress import Notice, TrainingHooks
from wsol_core.training.resume import checkpoint_to_resume, identity, resumed_config
from wsol_core.training.sample_images import chosen_samples, localize_samples
from wsol_core.training.state import TrainingContext
from wsol_core.training.training_data import TrainingData, prepare_data

logger = logging.getLogger(__name__)

CHOOSING = "All steps are done; thresholds are chosen and scores are calibrated now."


def fit(
    config: TrainConfig,
    samples: Sequence[Sample],
    classes: Sequence[str],
    out: Path,
    *,
    weights_dir: Path | None = None,
    weights: Path | None = None,
    backgrounds: Sequence[Path] = (),
    hooks: TrainingHooks | None = None,
    resume: bool = False,
    warm_start: Path | None = None,
    unseen: Sequence[Sample] = (),
    distributed: Distributed | None = None,
) -> ModelCard:
    """Train a model on `samples` and leave it in the folder `out`.

    A training that is interrupted, or that raises an error after its first step, leaves a checkpoint from which
    `fit(..., resume=True)` goes on. The same images, settings and seed give the same weights on a CPU, also when the
    training was interrupted and resumed.

    Args:
        config: What to train, how long, and on which device.
        samples: Images with their class labels, and corrected regions where people drew some.
        classes: All class names, in the order of the model's scores.
        out: The model folder, created where it does not exist; it may not hold another training.
        weights_dir: A folder to look for pretrained weights in before they are downloaded.
        weights: A file with a state dict for the backbone, by torchvision's names, to begin with instead of ImageNet's.
        backgrounds: Images without any object, for the methods that use them.
        hooks: Called around every step, to show progress and to stop the training.
        resume: Go on with the training whose checkpoint is in `out`, with the same images and settings; a finished
            one is not trained again.
        warm_start: The folder of a finished model to begin with instead of pretrained weights. The training then takes
            `schedule.WARM_SHARE` of its usual length, but where that model had too few steps itself. Where the model
            does not fit, or has collapsed, a warning is logged and the training begins as without it.
        unseen: Further images with corrected regions, for the calibration of scores alone.
        distributed: This process among several. Each trains on batches of `config.batch_size` images, and the main one
            writes.

    Returns:
        The card of the finished model, as `model.json` in `out` holds it.

    Raises:
        TrainingCancelled: `hooks.should_stop` returned True; a checkpoint has been saved.
        ConfigError: A setting has no meaning, or `out` holds a training and `resume` is False.
        DataError: There are no readable images, or their labels and `classes` do not match.
        WeightsError: The pretrained weights are missing, torn or do not fit the backbone.
        CheckpointError: There is no checkpoint to resume, or it is torn or of another training.
        StorageError: A file could not be written; the last checkpoint is intact.

    Example:
        >>> data = read_folder(Path("images"), split="train")  # one sub-folder of images per class
        >>> card = fit(TrainConfig(backbone="tiny", minutes=3), data.samples, data.classes, Path("model"))
        >>> predictor = Predictor.open(Path("model"))
    """
    started = time.monotonic()
    method_options(config.method, config.options)  # what has no meaning is known before any image is read
    require_backbone(config.backbone)
    checkpoint = checkpoint_to_resume(out, resume)
    if resume and checkpoint is None:
        logger.info("The training in %s has finished; nothing is left to do.", out)
        return read_card(out)
    data = prepare_data(samples, classes, config.holdout, backgrounds, unseen)
    here = distributed or Distributed()
    shared = identity(data, here.world_size)
    if checkpoint is not None:
        config = resumed_config(config, shared, checkpoint, out)
    device = choose_device(config.device, here.local_rank)
    with process_group(here, device):
        peers = Peers(here, device)
        if checkpoint is None:
            method, initialization = initial_method(config, data, weights_dir, warm_start, device, weights)
        else:
            method, initialization = resumed_method(config, data, checkpoint, device)
        peers.broadcast_weights(method)
        held_out = _held_out(data, config.side_px, peers)
        predictor = uncalibrated_predictor(method, data, config, device)
        context = TrainingContext(
            method=method,
            initialization=initialization,
            source=_loader(config, method.views, data, here, device),
            config=config,
            folder=out,
            device=device,
            peers=peers,
            hooks=hooks or TrainingHooks(),
            clock=time.monotonic,
            started=started,
            validate=None if held_out is None else partial(localization_scores, method, held_out, device),
            measure_export=partial(measure_export, predictor, data),
            images=len(data.train),
            localize_samples=partial(localize_samples, predictor, chosen_samples(data)),
            examine=examiner(method, data, config.side_px, device) if peers.is_main else None,
            identity=shared,
        )
        loop = TrainingLoop(context, predictor.precision, checkpoint)
        state = loop.run()
        if peers.is_main:
            context.hooks.on_notice(Notice(CHOOSING))
        card = export_model(context, predictor, data, held_out, state, loop.budget) if peers.is_main else None
        return ModelCard.from_dict(peers.broadcast(card and card.to_dict()))


def _loader(
    config: TrainConfig, augmentation: Augmentation, data: TrainingData, here: Distributed, device: torch.device
) -> BatchLoader:
    return BatchLoader(
        data.train,
        data.classes,
        side_px=config.side_px,
        batch_size=config.batch_size,
        seed=config.seed,
        backgrounds=data.backgrounds,
        augmentation=augmentation,
        rank=here.rank,
        world_size=here.world_size,
        workers=config.workers,
        pin_memory=device.type == "cuda",
    )


def _held_out(data: TrainingData, side_px: int, peers: Peers) -> HeldOut | None:
    """The images that the main process scores epochs on; None on every process where it has none."""
    samples, images = plain_images(data.held_out, side_px) if peers.is_main else ([], torch.zeros(0))
    if not peers.broadcast(len(samples)):
        return None
    return HeldOut(images, torch.tensor([data.classes.index(sample.labels[0]) for sample in samples]))
