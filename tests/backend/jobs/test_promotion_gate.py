"""The gate judges real trainings on drawn pictures: good boxes pass, shuffled ones do not, and modes are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from backend.jobs.context import JobContext, job_context
from backend.jobs.promotion_gate import judge
from backend.storage.version_facts import GateCriterion, GateDecision, VersionFacts
from wsol_core.config import TrainConfig
from wsol_core.data.folder import read_folder
from wsol_core.localization.model_folder import read_card
from wsol_core.records import Sample
from wsol_core.synthetic.dataset import draw_folder
from wsol_core.training.fit import fit

pytestmark = pytest.mark.slow

PROJECT = "7"
CONFIG = TrainConfig(backbone="tiny", epochs=9, side_px=96, batch_size=16, pretrained=False, device="cpu")


@dataclass(frozen=True)
class Trained:
    """Three models of the same pictures, each begun with the one before, and pictures that none learned from."""

    weak: Path
    good: Path
    shuffled: Path
    holdout: Sequence[Sample]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("gate")
    draw_folder(folder / "pictures", classes=2, images=120, seed=3)
    samples = list(read_folder(folder / "pictures").samples)
    corrected = [replace(sample, regions=sample.truth, truth=()) for sample in samples]
    holdout, train = corrected[::5], [sample for index, sample in enumerate(corrected) if index % 5]
    wrong = [
        replace(sample, regions=tuple(replace(region, label=sample.labels[0]) for region in other.regions))
        for sample, other in zip(train, [*train[7:], *train[:7]], strict=True)
    ]
    classes = sorted({label for sample in samples for label in sample.labels})
    weak, good, shuffled = (folder / name for name in ("weak", "good", "shuffled"))
    fit(replace(CONFIG, epochs=6), [replace(sample, regions=()) for sample in train], classes, weak)
    fit(CONFIG, train, classes, good, warm_start=weak)
    fit(CONFIG, wrong, classes, shuffled, warm_start=good)
    return Trained(weak, good, shuffled, holdout)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobContext]:
    monkeypatch.setenv("BOXSTRAP_HOME", str(tmp_path))
    monkeypatch.setenv("DEVICE", "cpu")
    job_context.cache_clear()
    yield job_context()
    job_context.cache_clear()


def judged(context: JobContext, new: Path, holdout: Sequence[Sample]) -> GateDecision:
    return judge(context, PROJECT, new, read_card(new), holdout)


def live(context: JobContext, model: Path, faults: Sequence[str] | None = None) -> str:
    """Publish the model, with the faults of its card or with others."""
    card = read_card(model)
    known = card.faults if faults is None else tuple(faults)
    facts = VersionFacts(run=model.name, metrics=dict(card.metrics), faults=known)
    return context.stores.models.publish(PROJECT, model, facts)


def test_the_first_version_passes_whatever_the_mode(context: JobContext, trained: Trained) -> None:
    context.stores.policies.change(PROJECT, gate="manual")
    decision = judged(context, trained.shuffled, trained.holdout)
    assert (decision.criterion, decision.against, decision.promoted) == (GateCriterion.FIRST_VERSION, None, True)


def test_a_version_that_learned_from_good_boxes_is_promoted(context: JobContext, trained: Trained) -> None:
    version = live(context, trained.weak)
    decision = judged(context, trained.good, trained.holdout)
    assert (decision.criterion, decision.against, decision.pictures) == (
        GateCriterion.HOLDOUT,
        version,
        len(trained.holdout),
    )
    assert decision.promoted and decision.measures["mask_iou"]["low"] > 0, decision.sentence


def test_a_version_that_learned_from_shuffled_boxes_is_refused(context: JobContext, trained: Trained) -> None:
    live(context, trained.good)
    decision = judged(context, trained.shuffled, trained.holdout)
    assert not decision.passed and not decision.promoted
    assert decision.measures["mask_iou"]["high"] < 0, decision.sentence


def test_the_same_version_once_more_is_not_worse(context: JobContext, trained: Trained) -> None:
    live(context, trained.good)
    decision = judged(context, trained.good, trained.holdout)
    assert decision.promoted and decision.measures["edits"]["difference"] == 0


@pytest.mark.parametrize("mode", ["suggest", "manual"])
def test_a_person_decides_in_other_modes(context: JobContext, trained: Trained, mode: str) -> None:
    live(context, trained.weak)
    context.stores.policies.change(PROJECT, gate=mode)
    decision = judged(context, trained.good, trained.holdout)
    assert decision.passed and not decision.promoted
    assert decision.sentence.endswith(f"The gate's mode is {mode!r}, so a person decides.")


def test_without_a_holdout_labels_decide_and_it_says_so(context: JobContext, trained: Trained) -> None:
    live(context, trained.weak)
    decision = judged(context, trained.weak, trained.holdout[:4])
    assert (decision.criterion, decision.promoted) == (GateCriterion.LABELS, True)
    assert decision.sentence.startswith("Judged by labels only, since 4 corrected pictures are in the holdout and 5")


def test_a_class_that_the_live_version_does_not_know_counts_against_it(context: JobContext, trained: Trained) -> None:
    live(context, trained.good)
    renamed = [
        replace(sample, labels=("moth",), regions=tuple(replace(region, label="moth") for region in sample.regions))
        for sample in trained.holdout
    ]
    decision = judged(context, trained.good, renamed)
    assert decision.measures["box_iou"]["live"] == decision.measures["box_iou"]["new"] == 0


def test_an_unreliable_version_is_refused_over_one_that_is_not(context: JobContext, trained: Trained) -> None:
    card = read_card(trained.good)
    assert card.faults  # 9 epochs of 96 pictures are 54 steps
    version = context.stores.models.publish(PROJECT, trained.weak, VersionFacts(run="long"))
    decision = judge(context, PROJECT, trained.good, card, trained.holdout)
    assert (decision.criterion, decision.passed, decision.promoted) == (GateCriterion.FAULTS, False, False)
    assert decision.sentence.startswith(f"{version} stays live, since the new version is unreliable. ")
    assert "are not enough for" in decision.sentence


def test_an_unreliable_version_is_compared_with_one_that_is_so_too(context: JobContext, trained: Trained) -> None:
    live(context, trained.weak, faults=("It was short.",))
    assert judged(context, trained.good, trained.holdout).criterion == GateCriterion.HOLDOUT


def test_figures_of_an_unreliable_live_version_do_not_keep_a_sound_one_away(
    context: JobContext, trained: Trained
) -> None:
    live(context, trained.weak, faults=("It was short.",))
    sound = replace(read_card(trained.good), faults=(), metrics={"holdout_score": -1.0})
    decision = judge(context, PROJECT, trained.good, sound, ())
    assert (decision.criterion, decision.promoted) == (GateCriterion.FAULTS, True)


def test_the_first_version_goes_live_and_the_record_says_that_it_is_unreliable(
    context: JobContext, trained: Trained
) -> None:
    decision = judged(context, trained.weak, trained.holdout)
    assert decision.promoted and decision.sentence.endswith("It goes live though it is unreliable.")
