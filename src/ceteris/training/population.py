"""A population: trials of one shape that are trained in lockstep as one stacked model.

The members may differ in fold, seed and all numbers of their recipes. Each has its own random streams, statistics and
learning rate, so that it goes the way that it would go alone, up to the rounding of sums in another order; a member that
diverges or stops early leaves and the others go on.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ceteris.data import ImageSet
from ceteris.errors import DataError
from ceteris.models.summary import summarise
from ceteris.records import Trial
from ceteris.training import build
from ceteris.training.batches import StackedImages, batch_sizes, standardising
from ceteris.training.device import full_float32, is_out_of_memory, reset_peak
from ceteris.training.loop import OnEpoch, ProgressError, fit
from ceteris.training.single import config_of, images_on_device, run_of, split_of, training_objects
from ceteris.training.stacked import Member, StackedTrainee
from ceteris.training.trial import TrialMeta, TrialResult, result_of, run_trial
from ceteris.user_code import NO_IMPORTS, ImportPolicy


def shape_key(trial: Trial) -> str | None:
    """Return what trials must have in common to be stacked; None for a trial that is always trained alone.

    Trials with equal keys may differ in fold, seed, optimizer settings, schedule, penalty, clipping, augmentation,
    dropout, initialisation and the numbers of their loss.
    """
    shape = build.shape_of(trial.recipe)
    machine = replace(trial.execution, members=1, population="")
    return None if shape is None else repr((shape, trial.data, machine, trial.code, trial.schema))


def run_population(
    trials: Sequence[Trial],
    train: ImageSet,
    *,
    on_epoch: OnEpoch = lambda epoch: None,
    imports: ImportPolicy = NO_IMPORTS,
) -> list[TrialResult]:
    """Train trials of equal :func:`shape_key` together; return one result per trial, in their order.

    A single trial is trained by :func:`ceteris.training.run_trial`. Where the memory does not suffice, the population is
    halved; where anything else fails, every member is trained alone, so that only the faulty one gets a failed record.

    Args:
        trials: the members.
        train: the training images of the study.
        on_epoch: called with the number of every epoch, from 1, that the population has finished; a population that has
            to be halved, or whose members fit on different numbers of batches, counts again for each part.
        imports: whether the user's own code may be imported by path.

    Raises:
        DataError: when the images cannot be split as a trial says.
        OSError: when ``on_epoch`` raises one: nobody waits for this training any more.
    """
    assert len({shape_key(trial) for trial in trials}) <= 1, "only trials of one shape form a population"
    parts: dict[object, list[int]] = defaultdict(list)  # members whose epochs have equally many batches of equal size
    for index, trial in enumerate(trials):
        recipe = trial.recipe
        sizes = batch_sizes(
            len(split_of(trial, train.labels, train.groups).fitted), recipe.batch_size, recipe.last_batch
        )
        parts[index if shape_key(trial) is None else tuple(sizes)].append(index)
    results: dict[int, TrialResult] = {}
    for indices in parts.values():
        members = [trials[index] for index in indices]
        results |= zip(indices, _within_memory(members, train, on_epoch, imports, note=""), strict=True)
    return [results[index] for index in range(len(trials))]


def _within_memory(
    trials: Sequence[Trial], train: ImageSet, on_epoch: OnEpoch, imports: ImportPolicy, *, note: str
) -> list[TrialResult]:
    if len(trials) == 1:
        return [_noted(run_trial(trials[0], train, on_epoch=on_epoch, imports=imports), note)]
    try:
        with full_float32(trials[0].execution.device):
            reset_peak(trials[0].execution.device)
            trainee, metas = stacked_trainee(trials, train, imports)
            trained = zip(trials, fit(trainee, on_epoch), metas, strict=True)
            return [_noted(result_of(trial, train, run, meta), note) for trial, run, meta in trained]
    except (DataError, ProgressError):
        raise
    except Exception as error:
        short = is_out_of_memory(error)
        logging.getLogger("ceteris").info("a population of %d is trained in parts", len(trials), exc_info=True)
    # outside the handler, whose error still holds the tensors that did not fit
    half = len(trials) // 2 if short else 1
    note = f"population halved to {half}" if short else note
    parts = [trials[start : start + half] for start in range(0, len(trials), half)]
    return [result for part in parts for result in _within_memory(part, train, on_epoch, imports, note=note)]


def _noted(result: TrialResult, note: str) -> TrialResult:
    if not note:
        return result
    known = result.record.environment
    memory = "; ".join(part for part in (note, known.get("memory", "")) if part)
    return replace(result, record=replace(result.record, environment=known | {"memory": memory}))


def stacked_trainee(
    trials: Sequence[Trial], train: ImageSet, imports: ImportPolicy
) -> tuple[StackedTrainee, list[TrialMeta]]:
    """Return trials of one shape as one trainee, and what their records tell besides.

    Raises:
        DataError: when the images cannot be split as a trial says.
        ConfigError: when a recipe cannot be built.
    """
    first, device = trials[0], trials[0].execution.device
    splits = [split_of(trial, train.labels, train.groups) for trial in trials]
    moments = [
        build.build_standardisation(trial.recipe.standardisation, train.images, split.fitted)
        for trial, split in zip(trials, splits, strict=True)
    ]
    used = np.unique(np.concatenate([split.fitted for split in splits]))
    table, config = images_on_device(first, train, used, *moments[0]), config_of(first, train)
    scales = [standardising(*of_trial, device) for of_trial in moments]  # of every trial: scale and offset
    members: list[Member] = []
    for trial, split, of_trial, (scale, offset) in zip(trials, splits, moments, scales, strict=True):
        own_table = replace(table, scale=scale, offset=offset)
        objects = training_objects(trial, train, split, own_table, imports)
        run = run_of(trial, train, objects.model, split, of_trial)
        members.append(Member(recipe=trial.recipe, objects=objects, run=run))
    seen = {
        repr((t.split, t.seed, t.order_seed, r.augmentation, r.sampling, r.images, r.standardisation, r.schedule.kind))
        for t in trials
        for r in [t.recipe]
    }
    images = StackedImages(
        table=table,
        indices=[torch.from_numpy(np.searchsorted(used, split.fitted)) for split in splits],
        scale=torch.stack([scale for scale, _ in scales])[:, None],
        offset=torch.stack([offset for _, offset in scales])[:, None],
        shared=not members[0].objects.attacked and len(seen) == 1,
    )
    flops = summarise(members[0].objects.model, train.shape).flops
    metas = [TrialMeta(images=split, flops=flops) for split in splits]
    return StackedTrainee(members, images, config), metas
