"""What a training learns from: its checked samples, split into those to train on and those held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsol_core.errors import DataError
from wsol_core.records import Sample
from wsol_core.training.model_selection import split_holdout


@dataclass(frozen=True, slots=True)
class TrainingData:
    """`held_out` samples are kept from the training, to choose the epoch by; `unseen` ones only calibrate scores."""

    train: Sequence[Sample]
    held_out: Sequence[Sample]
    unseen: Sequence[Sample]
    classes: tuple[str, ...]
    multi_label: bool
    backgrounds: Sequence[Path]

    @property
    def labeled(self) -> list[Sample]:
        """All samples but the `unseen` ones."""
        return [*self.train, *self.held_out]

    def digest(self) -> str:
        """The same for trainings on files of the same names with the same labels, regions and backgrounds."""
        digest = hashlib.blake2b(digest_size=16)
        for sample in self.labeled:
            regions = [(r.label, r.box_xyxy, r.mask_path is not None) for r in sample.regions]
            digest.update(repr((sample.file, sample.labels, regions)).encode())
        digest.update(repr(sorted(path.name for path in self.backgrounds)).encode())
        return digest.hexdigest()


def prepare_data(
    samples: Sequence[Sample],
    classes: Sequence[str],
    holdout: float,
    backgrounds: Sequence[Path] = (),
    unseen: Sequence[Sample] = (),
) -> TrainingData:
    """The samples, split; DataError where there are none, or where labels and `classes` do not match."""
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
    train, held_out = split_holdout(samples, holdout)
    multi_label = any(len(sample.labels) > 1 for sample in samples)
    return TrainingData(train, held_out, unseen, tuple(classes), multi_label, backgrounds)


def of_every_class(samples: Sequence[Sample], classes: Sequence[str], most: int) -> list[Sample]:
    """At most `most` of the samples: the first of each class in turn, then the second of each, and so on."""
    members = {name: [sample for sample in samples if sample.labels[0] == name] for name in classes}
    longest = max(map(len, members.values()), default=0)
    turns = [own[turn] for turn in range(longest) for own in members.values() if turn < len(own)]
    return turns[:most]
