"""What follows the last stage: choose thresholds, calibrate scores, and write the model folder."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from wsol_core.config import TrainConfig
from wsol_core.localization.model_card import ModelCard
from wsol_core.localization.model_folder import save_model
from wsol_core.localization.predictor import Predictor
from wsol_core.localization.thresholds import DEFAULT_THRESHOLD
from wsol_core.methods.base import WsolMethod
from wsol_core.training.calibration import MOST_IMAGES, choose_thresholds, pick
from wsol_core.training.checkpoint import remove_checkpoint
from wsol_core.training.collapse import ADVICE
from wsol_core.training.enough_steps import StageSteps, shortage_sentence, shortest
from wsol_core.training.forecast import LATER_STAGES_SLOWER, planned_stages
from wsol_core.training.model_selection import HeldOut, evaluating, top1_accuracy
from wsol_core.training.state import TrainingContext, TrainingState
from wsol_core.training.time_budget import TimeBudget
from wsol_core.training.training_data import TrainingData

TIMED_IMAGES = 8
SAVING_S = 1.0  # for the model's files
FEWEST_IMAGES = 24  # for the thresholds, where time is short


def uncalibrated_predictor(
    method: WsolMethod, data: TrainingData, config: TrainConfig, device: torch.device
) -> Predictor:
    """The method as it will predict, with a threshold until one is chosen; its parts keep their modes."""
    several, refine_edges = data.multi_label, method.refine_edges
    card = ModelCard(config, data.classes, several, DEFAULT_THRESHOLD, "not chosen", refine_edges=refine_edges)
    with evaluating(method):
        return Predictor(method, card, device, config.precision)


def measure_export(predictor: Predictor, data: TrainingData, with_objects: bool) -> float:
    """Seconds that `export_model` will take, from a few images; with_objects: as in `choose_thresholds`."""
    few = pick(data.labeled, TIMED_IMAGES)
    choose_thresholds(predictor, few[:1], with_objects=with_objects)  # the first image pays for what is made once
    start = time.monotonic()
    choose_thresholds(predictor, few, with_objects=with_objects)
    images = sum(min(MOST_IMAGES, len(samples)) for samples in (data.labeled, data.unseen))
    return (time.monotonic() - start) * images / len(few) + SAVING_S


def export_model(
    context: TrainingContext,
    predictor: Predictor,
    data: TrainingData,
    held_out: HeldOut | None,
    state: TrainingState,
    budget: TimeBudget,
) -> ModelCard:
    """Writes the trained method, which holds the weights to export, as a finished model; its card."""
    most = _affordable_images(state, budget)
    last = planned_stages(context, state, budget, len(context.method.stages) - 1)[-1]
    unseen = [*data.held_out, *data.unseen]
    card = choose_thresholds(predictor, data.labeled, most, unseen, with_objects=last.is_enough)
    faults = training_faults(context, state, budget)
    metrics = _metrics(context, predictor.precision, data, held_out, state, budget.now_s())
    short = _shortest_stage(context, state, budget)
    metrics |= {"enough_steps": float(short is None), "collapsed": float(bool(state.collapsed))}
    card = replace(card, metrics=metrics, faults=faults)
    save_model(context.folder, context.method, card)
    remove_checkpoint(context.folder)
    return card


def training_faults(context: TrainingContext, state: TrainingState, budget: TimeBudget) -> tuple[str, ...]:
    """Why the model is unreliable, in sentences; none where it is not."""
    collapsed = tuple(state.collapsed.values())
    short = _shortest_stage(context, state, budget)
    if short is None:
        return collapsed
    minutes = budget.enough_minutes(LATER_STAGES_SLOWER, state.costs.export_s, short)
    collapsed = tuple(sentence.removesuffix(ADVICE).rstrip() for sentence in collapsed)  # first, it has to be longer
    return (shortage_sentence(short, context.images, minutes), *collapsed)


def _shortest_stage(context: TrainingContext, state: TrainingState, budget: TimeBudget) -> StageSteps | None:
    return shortest(planned_stages(context, state, budget, len(context.method.stages) - 1))


def _metrics(
    context: TrainingContext,
    dtype: torch.dtype,
    data: TrainingData,
    held_out: HeldOut | None,
    state: TrainingState,
    seconds: float,
) -> dict[str, float]:
    """The card's figures; the names with "pictures" are those of cards since the first version."""
    metrics = {
        "train_pictures": float(len(data.train)),
        "train_steps": float(sum(plan.steps for plan in state.plans)),
        "train_seconds": round(seconds, 3),
        "skipped_steps": float(state.steps.skipped_steps),
        "pretrained": float(context.initialization.pretrained),
        "warm_start": float(context.initialization.warm_start),
    }
    if held_out is None:
        return metrics
    return metrics | {
        "holdout_pictures": float(len(held_out.target)),
        "holdout_top1_accuracy": top1_accuracy(context.method, held_out, context.device, dtype),
        "holdout_score": state.choice.score,
        "exported_epoch": float(state.choice.epoch),
    }


def _affordable_images(state: TrainingState, budget: TimeBudget) -> int:
    """How many images the thresholds are chosen on; fewer where minutes rule and the stages took too long."""
    if budget.total_s is None or not state.costs.export_s:
        return MOST_IMAGES
    left = (budget.total_s - budget.now_s()) / state.costs.export_s
    return max(FEWEST_IMAGES, min(MOST_IMAGES, int(MOST_IMAGES * left)))
