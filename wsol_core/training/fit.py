"""`fit`: from labelled images to a model folder. The loop is in loop.py, the choice of thresholds in calibration.py.

A share `TrainConfig.holdout` of the images is kept from training to choose the exported epoch (model_selection.py). The
same images, settings and seed give the same weights on a CPU, also when the training was interrupted and resumed.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from wsol_core.config import TrainConfig
from wsol_core.data.loader import BatchLoader, plain_images
from wsol_core.data.transforms import Augmentation
from wsol_core.devices import choose_device, choose_precision
from wsol_core.errors import CheckpointError, ConfigError, DataError
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import is_finished, is_started, read_card, save_model
from wsol_core.methods.base import WsolMethod
from wsol_core.methods.registry import build_method
from wsol_core.networks.pretrained import pretrained_state
from wsol_core.records import Sample
from wsol_core.training.calibration import MOST_IMAGES, Localizer, choose_thresholds, pick
from wsol_core.training.checkpoint import load_checkpoint, remove_checkpoint
from wsol_core.training.distributed import Distributed, Peers, process_group
from wsol_core.training.loop import TrainingLoop
from wsol_core.training.model_selection import HeldOut, localization_scores, split_holdout, top1_accuracy
from wsol_core.training.progress import TrainingHooks
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.step import seeded
from wsol_core.training.time_budget import TimeBudget
from wsol_core.training.warm_start import KNOWS_CLASSES, PRETRAINED, WARM, read_warm_start

logger = logging.getLogger(__name__)

TIMED_IMAGES = 8
SAVING_S, FEWEST_IMAGES = 1.0, 24  # for the model's files; for the thresholds where time is short
INITIAL = -1  # the random numbers of fresh weights; stages count from 0
# Settings that may differ when a training goes on: where and how fast it runs. Time and epochs are in its plan.
MAY_CHANGE = frozenset({"device", "workers", "epochs", "minutes"})


@dataclass(frozen=True, slots=True)
class _Data:
    """A training's images and names; `held` are kept from the training, and `unseen` never were for it."""

    train: Sequence[Sample]
    held: Sequence[Sample]
    classes: tuple[str, ...]
    multi_label: bool
    backgrounds: Sequence[Path]
    unseen: Sequence[Sample] = ()


def fit(
    config: TrainConfig,
    samples: Sequence[Sample],
    classes: Sequence[str],
    out: Path,
    *,
    weights_dir: Path | None = None,
    backgrounds: Sequence[Path] = (),
    hooks: TrainingHooks | None = None,
    resume: bool = False,
    warm_start: Path | None = None,
    unseen: Sequence[Sample] = (),
    distributed: Distributed | None = None,
) -> ModelCard:
    """Trains a model on `samples` and leaves it in the folder `out`; returns its card.

    Args: classes: all class names, in the order of the scores. weights_dir: where pretrained weights are looked for
        first. backgrounds: images without any object, for the methods that use them. resume: go on with the
        training whose checkpoint is in `out`; a finished one is not trained again. warm_start: a finished model's
        folder to begin with instead of pretrained weights, which takes WARM_SHARE of the epochs or minutes asked for;
        where it does not fit, a warning is logged and the training begins as without it. unseen: more corrected
        images, for the calibration of scores alone. distributed: this process among several; each trains on batches
        of `batch_size`, and the main one writes.
    Raises: TrainingCancelled when `hooks.should_stop` says so, after saving a checkpoint. StorageError, ConfigError,
        DataError, WeightsError, CheckpointError; the last checkpoint is intact after each.
    """
    started = time.monotonic()
    checkpoint = _checkpoint_of(out, resume)
    if resume and checkpoint is None:
        logger.info("The training in %s has finished; nothing is left to do.", out)
        return read_card(out)
    data = replace(_check_data(samples, classes, config.holdout, backgrounds), unseen=unseen)
    here = distributed or Distributed()
    identity = _identity(data, here)
    if checkpoint is not None:
        config = _resumed_config(config, identity, checkpoint, out)
    device = choose_device(config.device, here.local_rank)
    with process_group(here, device):
        method = _build_method(config, data, weights_dir, device, checkpoint, warm_start)
        peers = Peers(here, device)
        peers.share_weights(method)
        held_out = _held_out(data, config.side_px, peers)
        localizer = _localizer(method, data, config, device)
        job = TrainingContext(
            method=method,
            source=_images(config, method.augmentation, data, here, device),
            config=config,
            folder=out,
            device=device,
            peers=peers,
            hooks=hooks or TrainingHooks(),
            clock=time.monotonic,
            started=started,
            validate=None if held_out is None else partial(localization_scores, method, held_out, device),
            measure_finish=partial(_measure_finish, localizer, data),
            identity=identity,
        )
        loop = TrainingLoop(job, localizer.dtype, checkpoint)
        state = loop.run()
        values = _finish(job, localizer, data, held_out, state, loop.pace) if peers.is_main else None
        return ModelCard.from_dict(peers.from_main(values))


def _checkpoint_of(out: Path, resume: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from, if any; an error rather than to overwrite, or to start what should go on."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder for the model.")
    if resume:
        return None if is_finished(out) else load_checkpoint(out)
    if is_started(out):
        raise ConfigError(f"{out} already holds a training; go on with it by --resume, or name another folder.")
    return None


def _check_data(
    samples: Sequence[Sample], classes: Sequence[str], holdout: float, backgrounds: Sequence[Path]
) -> _Data:
    if not samples:
        raise DataError("There are no images to train on; name a folder with one sub-folder of images per class.")
    known = set(classes)
    for sample in samples:
        if unknown := set(sample.labels) - known:
            raise DataError(f"{sample.file} is of class {min(unknown)!r}, which is not among {', '.join(classes)}.")
        if not sample.labels:
            raise DataError(f"{sample.file} has no class; label it or leave it out.")
    if unused := known - {label for sample in samples for label in sample.labels}:
        raise DataError(f"Class {min(unused)!r} has no images; add some or leave the class out.")
    train, held = split_holdout(samples, holdout)
    several = any(len(sample.labels) > 1 for sample in samples)
    return _Data(train, held, tuple(classes), several, backgrounds)


def _identity(data: _Data, here: Distributed) -> dict[str, Any]:
    """What a resumed training has to have in common with the interrupted one, besides the settings."""
    digest = hashlib.blake2b(digest_size=16)
    for sample in (*data.train, *data.held):
        regions = [(r.label, r.box_xyxy, r.mask_path is not None) for r in sample.regions]
        digest.update(repr((sample.file, sample.labels, regions)).encode())
    digest.update(repr(sorted(path.name for path in data.backgrounds)).encode())
    return {"pictures": digest.hexdigest(), "classes": list(data.classes), "processes": here.world_size}


def _resumed_config(
    config: TrainConfig, identity: Mapping[str, Any], checkpoint: Mapping[str, Any], out: Path
) -> TrainConfig:
    """`config` with the length of the interrupted training; CheckpointError where they do not belong together."""
    before, now = checkpoint.get("config", {}), config.to_dict()
    differing = [name for name in now if name not in MAY_CHANGE and now[name] != before.get(name)]
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"The training in {out} has {name} {before.get(name)!r}, not {now[name]!r}; "
            "resume with the same settings, or train into another folder."
        )
    known = checkpoint.get("identity", {})
    for name, value in identity.items():
        if known.get(name) != value:
            raise CheckpointError(
                f"The {name} are not those of the interrupted training in {out}; train into another folder."
            )
    return replace(config, epochs=before.get("epochs"), minutes=before.get("minutes"))


def _build_method(
    config: TrainConfig,
    data: _Data,
    weights_dir: Path | None,
    device: torch.device,
    checkpoint: Mapping[str, Any] | None,
    warm_start: Path | None,
) -> WsolMethod:
    """With a finished model's or pretrained weights, unless it is resumed: its own are loaded later."""
    state, pretrained = None, None
    begun_with = read_warm_start(warm_start, config) if warm_start and not checkpoint else None
    if checkpoint is not None:
        pretrained = bool(checkpoint["pretrained"])
    elif begun_with is not None:
        pretrained = begun_with.pretrained
    elif config.pretrained:
        state = pretrained_state(config.backbone, weights_dir, allow_download=True)
    with seeded(device, config.seed, INITIAL):
        method = build_method(
            config.method, config.backbone, len(data.classes), data.multi_label, state, pretrained=pretrained
        )
    if begun_with is not None:
        begun_with.into(method, config, data.classes)
    elif checkpoint is not None:
        method.warm, method.knows_classes = (bool(checkpoint.get(name)) for name in (WARM, KNOWS_CLASSES))
    return method.to(device).to(memory_format=torch.channels_last)


def _images(
    config: TrainConfig, augmentation: Augmentation, data: _Data, here: Distributed, device: torch.device
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


def _held_out(data: _Data, side_px: int, peers: Peers) -> HeldOut | None:
    """The images that the main process judges epochs by; None on every process where it has none."""
    samples, images = plain_images(data.held, side_px) if peers.is_main else ([], torch.zeros(0))
    if not peers.from_main(len(samples)):
        return None
    return HeldOut(images, torch.tensor([data.classes.index(sample.labels[0]) for sample in samples]))


def _localizer(method: WsolMethod, data: _Data, config: TrainConfig, device: torch.device) -> Localizer:
    dtype = choose_precision(device, config.precision)
    return Localizer(method, data.classes, config.side_px, method.refine_edges, device, dtype)


def _measure_finish(localizer: Localizer, data: _Data) -> float:
    """Seconds that `_finish` will take, from a few images."""
    few = pick([*data.train, *data.held], TIMED_IMAGES)
    choose_thresholds(localizer, few[:1])  # the first image pays for what is made once
    start = time.monotonic()
    choose_thresholds(localizer, few)
    images = sum(min(MOST_IMAGES, len(those)) for those in ([*data.train, *data.held], data.unseen))
    return (time.monotonic() - start) * images / len(few) + SAVING_S


def _finish(
    job: TrainingContext,
    localizer: Localizer,
    data: _Data,
    held_out: HeldOut | None,
    state: TrainingState,
    pace: TimeBudget,
) -> dict[str, Any]:
    """Chooses the thresholds and writes the model; the card's values."""
    most = _affordable_images(state, pace)
    choice = choose_thresholds(localizer, [*data.train, *data.held], most, unseen=[*data.held, *data.unseen])
    metrics = {
        "train_pictures": float(len(data.train)),
        "train_steps": float(sum(plan.steps for plan in state.plans)),
        "train_seconds": round(pace.now_s(), 3),
        "skipped_steps": float(state.steps.bad_steps),
        PRETRAINED: float(job.method.pretrained),
        WARM: float(job.method.warm),
    }
    if held_out is not None:
        top1 = top1_accuracy(job.method, held_out, job.device, localizer.dtype)
        metrics |= {"holdout_pictures": float(len(held_out.target)), "holdout_top1_accuracy": top1}
        metrics |= {"holdout_score": state.choice.score, "exported_epoch": float(state.choice.epoch)}
    card = ModelCard(
        config=job.config,
        classes=data.classes,
        multi_label=data.multi_label,
        threshold=choice.threshold,
        threshold_rule=choice.rule,
        class_thresholds=choice.class_thresholds,
        score_scale=choice.score_scale,
        score_shift=choice.score_shift,
        refine_edges=localizer.refine_edges,
        metrics=metrics,
    )
    save_model(job.folder, job.method, card)
    remove_checkpoint(job.folder)
    return card.to_dict()


def _affordable_images(state: TrainingState, pace: TimeBudget) -> int:
    """How many images the thresholds are chosen on; fewer where minutes rule and the stages took too long."""
    if pace.total_s is None or not state.costs.finish_s:
        return MOST_IMAGES
    left = (pace.total_s - pace.now_s()) / state.costs.finish_s
    return max(FEWEST_IMAGES, min(MOST_IMAGES, int(MOST_IMAGES * left)))
