"""Shows what the model finds in a few images while it trains: at the end of epochs, and only where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence

from wsol_core.localization.predictor import Predictor, own_labels
from wsol_core.records import Localization, Sample
from wsol_core.training.calibration import pick
from wsol_core.training.model_selection import evaluating
from wsol_core.training.progress import EpochSamples
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget
from wsol_core.training.training_data import TrainingData, of_every_class

IMAGES, MOST_CONSIDERED = 6, 100
MOST_SHARE = 0.02  # of the training's time


def chosen_samples(data: TrainingData) -> list[Sample]:
    """The images to show: of every class in turn, held-out ones first, and always the same."""
    return of_every_class([*data.held_out, *pick(data.train, MOST_CONSIDERED)], data.classes, IMAGES)


class SampleShower:
    """Calls `hooks.on_samples` after epochs, on the main process; what it takes counts as no step's time."""

    def __init__(self, context: TrainingContext, state: TrainingState, budget: TimeBudget) -> None:
        self._context, self._state, self._budget = context, state, budget
        self._next_s = 0.0

    def after_step(self, index: int) -> None:
        """Localizes the images where an epoch of stage `index` has ended, and the time for it has been saved."""
        context, step = self._context, self._state.step
        show, localize = context.hooks.on_samples, context.localize_samples
        ends = step == self._state.plans[index].steps
        if show is None or localize is None or not context.peers.is_main:
            return
        if not ends and (step % context.steps_per_epoch or self._budget.now_s() < self._next_s):
            return
        start = context.clock()
        found = localize()
        taken_s = context.clock() - start
        show(EpochSamples(context.method.stages[index], context.epoch_of(step), found, taken_s))
        self._budget.exclude(context.clock() - start)
        self._next_s = self._budget.now_s() + taken_s / MOST_SHARE


def localize_samples(predictor: Predictor, samples: Sequence[Sample]) -> list[tuple[Sample, Localization]]:
    """What the method finds of the images' own classes as it is now; images that cannot be read are left out."""
    with evaluating(predictor.method):
        found = list(predictor.localize(samples, own_labels))
    return [(sample, each) for sample, each in zip(samples, found, strict=True) if isinstance(each, Localization)]
