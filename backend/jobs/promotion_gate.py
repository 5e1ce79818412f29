"""The promotion gate: decide before a new version is published whether it becomes the live one.

New and live version localize the pictures of the holdout, which people corrected and neither learned from, and are
compared picture by picture (wsol_core.evaluation.comparison). Where too few are corrected, only what the labels say is
left, and the record says so. Before that, a version whose training was too short or collapsed is refused over one
without such a fault. The same run gets the same answer however often it is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.jobs.context import JobContext
from backend.labelstudio.class_names import NameIndex
from backend.settings import GateMode
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts
from wsol_core.evaluation.comparison import ImageScore, compare, score_image
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.predictor import Predictor
from wsol_core.records import Localization, Sample

logger = logging.getLogger(__name__)

FEWEST_PICTURES = 5
LABEL_MARGIN = 0.05  # of a measure on some held-out pictures; less is chance
LABEL_MEASURES = ("holdout_top1_accuracy", "holdout_score")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How a new version does against the live one, and by what that was measured."""

    criterion: GateCriterion
    pictures: int
    passed: bool
    sentence: str
    measures: Mapping[str, Json]


def judge(
    context: JobContext, project_id: str, model: Path, card: ModelCard, holdout: Sequence[Sample]
) -> GateDecision:
    """Compares the trained `model` with the project's live version.

    Args: holdout: pictures with corrected regions that were kept from the training.
    """
    policy = context.stores.policies.find(project_id)
    mode = policy.gate
    against = context.live_model(project_id)
    if against is None:
        sentence = "It is the first version; there is nothing to compare it with."
        sentence += " It goes live though it is unreliable." if card.faults else ""
        return GateDecision(mode, GateCriterion.FIRST_VERSION, None, 0, True, True, sentence)
    folder = context.stores.models.folder(project_id, against)
    facts = context.stores.models.facts(project_id, against)
    found = (
        _by_faults(against, facts, card)
        or _by_holdout(
            folder, model, holdout, context.settings.device, context.stores.policies.find(project_id).renames
        )
        or _by_labels(facts, card, len(holdout))
    )
    promoted, sentence = found.passed and mode == GateMode.AUTO, found.sentence
    if found.passed and not promoted:
        sentence += f" The gate's mode is {mode.value!r}, so a person decides."
    logger.info("project %s, against %s: %s", project_id, against, sentence)
    return GateDecision(
        mode, found.criterion, against, found.pictures, found.passed, promoted, sentence, found.measures
    )


def _by_faults(against: str, facts: VersionFacts, card: ModelCard) -> _Comparison | None:
    """Refuse a version that is unreliable while the live one is not; None in all other cases."""
    if not card.faults or facts.faults:
        return None
    sentence = f"{against} stays live, since the new version is unreliable. {' '.join(card.faults)}"
    return _Comparison(GateCriterion.FAULTS, 0, False, sentence, {})


def _by_holdout(
    live: Path, new: Path, holdout: Sequence[Sample], device: str, renames: Mapping[str, str]
) -> _Comparison | None:
    """Compare on the holdout; None where too few of its pictures can be compared."""
    if len(holdout) < FEWEST_PICTURES:
        return None
    before, after = (_scores(model, holdout, device, renames) for model in (live, new))
    both = sorted(before.keys() & after.keys())
    if len(both) < FEWEST_PICTURES:
        return None
    found = compare([before[name] for name in both], [after[name] for name in both])
    return _Comparison(GateCriterion.HOLDOUT, len(both), found.passed, found.sentence, found.to_dict())


def _scores(model: Path, holdout: Sequence[Sample], device: str, renames: Mapping[str, str]) -> dict[str, ImageScore]:
    """Score each readable picture. A class that the model has not learned is not found, which counts against it.

    Args: renames: what classes are called now: old name -> new name.
    """
    predictor = Predictor.open(model, device)
    labels = {label for sample in holdout for label in sample.labels}
    learned = NameIndex((renames.get(name, name), name) for name in predictor.card.classes)
    known = {label: name for label in labels if (name := learned.find(label)) is not None}
    now = {name: label for label, name in known.items()}
    samples = {sample.file: sample for sample in holdout}
    scores = {}

    def classes_of(sample: Sample) -> list[str] | None:
        """A picture in which people left nothing says of no class that it is there; the model is then asked for any."""
        return [known[label] for label in sample.labels if label in known] if sample.labels else None

    for found in predictor.localize(holdout, classes_of):
        if isinstance(found, Localization):
            regions = [replace(region, label=now.get(region.label, region.label)) for region in found.regions]
            scores[found.file] = score_image(regions, samples[found.file].regions, found.size_wh)
    return scores


def _by_labels(facts: VersionFacts, card: ModelCard, corrected: int) -> _Comparison:
    """Compare what labels alone say of held-out pictures; each version was measured on pictures of its own.

    The figures of an unreliable live version, or of a first look, are no bar for one that is neither.
    """
    if facts.faults and not card.faults:
        return _Comparison(GateCriterion.FAULTS, 0, True, "The live version is unreliable, and this one is not.", {})
    if facts.is_first_look and not card.config.brief:
        sentence = "The live version is a first look, and this one is of the whole training."
        return _Comparison(GateCriterion.FIRST_LOOK, 0, True, sentence, {})
    old, new = facts.metrics, card.metrics
    measures = {
        name: {"live": old[name], "new": new[name], "difference": new[name] - old[name]}
        for name in LABEL_MEASURES
        if name in old and name in new
    }
    worse = [name for name, values in measures.items() if values["difference"] < -LABEL_MARGIN]
    shown = ", ".join(f"{name} {values['new']:.3f} after {values['live']:.3f}" for name, values in measures.items())
    sentence = (
        f"Judged by labels only, since {corrected} corrected pictures are in the holdout and {FEWEST_PICTURES} are "
        f"needed: {'worse' if worse else 'not worse'}{f' ({shown})' if shown else ''}."
    )
    return _Comparison(GateCriterion.LABELS, 0, not worse, sentence, measures)
