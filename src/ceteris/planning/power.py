"""What a planned comparison can find out, from how much differences vary between blocks.

The spread is taken from the store, where trials of this model family on this data and design lie; otherwise it is
assumed: two recipes that disagree on a share s of n held-out images (exactly one of them is right) differ in accuracy by a
random amount of standard deviation sqrt(s / n), since each of these images is won by either with the same chance.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ceteris.digests import digest_of
from ceteris.planning.dry_run import PlannedStage
from ceteris.records import Finished, FloatArray, Trial
from ceteris.stats import detectable_difference, overlap_share
from ceteris.study import Study

_LEAST_ARMS = 3
_ASSUMED_ACCURACY = 0.9


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The standard deviation of differences of accuracy between blocks of one design.

    ``arms`` × ``blocks`` trials of the store gave it; 0 arms where it is assumed from ``accuracy``.
    """

    deviation: float
    held_out: int
    arms: int
    blocks: int
    accuracy: float


def spread_of(recorded: Iterable[Finished], trial: Trial, held_out: int) -> Spread:
    """Return the spread for trials like this one: the same data, model family, folds and images."""
    like = [other for other in recorded if _design(other.trial) == _design(trial)]
    arms: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
    for other in like:
        split = other.trial.split
        assert split.kind == "cross-validation"
        alike = replace(other.trial.execution, members=1, population="")  # alone or in a stack
        arms[digest_of([other.trial.recipe, alike, other.trial.code])][split.seed, split.index] = other.accuracy
    assert trial.split.kind == "cross-validation"
    folds = trial.split.folds
    variances, count = _variances(list(arms.values()), folds)
    if count >= _LEAST_ARMS and np.median(variances) > 0:
        # The median is not moved by an arm that fails; it lies below the mean of a chi-square variable by a known factor.
        variance = float(np.median(variances)) * (folds - 1) / float(stats.chi2.median(folds - 1))
        accuracy = float(np.median([other.accuracy for other in like]))
        return Spread(
            deviation=float(np.sqrt(variance)), held_out=held_out, arms=count, blocks=folds, accuracy=accuracy
        )
    return assumed_spread(held_out, [other.accuracy for other in like])


def assumed_spread(held_out: int, accuracies: Iterable[float] = ()) -> Spread:
    """Return sqrt(s / n) for two recipes of the best accuracy a seen, or of 90 %, whose mistakes are independent.

    s is then 2 a (1 - a). Two real recipes share mistakes, which makes s smaller, and their training has luck of its own,
    which makes the spread larger; on the digits both about cancel out (0.9 times this for an MLP, 1.4 times for a CNN).
    """
    accuracy = min(max([*accuracies] or [_ASSUMED_ACCURACY]), 1 - 1 / held_out)
    disagreement = 2 * accuracy * (1 - accuracy)
    return Spread(
        deviation=float(np.sqrt(disagreement / held_out)), held_out=held_out, arms=0, blocks=0, accuracy=accuracy
    )


def detectable(study: Study, stage: PlannedStage, spread: Spread, *, repetitions: int = 1) -> float | None:
    """Return the smallest true difference that a stage finds with power 0.8; None where nothing is compared by pairs.

    ``repetitions`` multiplies the blocks of the design. Holm's adjustment is bounded by Bonferroni's.
    """
    if not stage.comparisons or stage.blocks < 2:
        return None
    blocks = stage.blocks * repetitions
    share = overlap_share(folds=study.exploration.folds, blocks=blocks)
    return detectable_difference(
        error=spread.deviation * float(np.sqrt(1 / blocks + share)),
        degrees=blocks - 1,
        significance=study.significance / stage.comparisons,
    )


def _variances(arms: list[Mapping[tuple[int, int], float]], folds: int) -> tuple[FloatArray, int]:
    """Return the variance between blocks of the difference of every pair of arms, (pairs,), and the number of arms.

    Only whole cross-validations count, one of them for every arm: the one that most arms have.
    """
    by_seed: dict[int, list[FloatArray]] = defaultdict(list)
    for arm in arms:
        for seed in {seed for seed, _ in arm}:
            if all((seed, fold) in arm for fold in range(folds)):
                by_seed[seed].append(np.array([arm[seed, fold] for fold in range(folds)]))
    if not by_seed:
        return np.zeros(0), 0
    results = np.array(max(by_seed.values(), key=len))  # (arms, folds)
    first, second = np.triu_indices(len(results), k=1)
    return (results[first] - results[second]).var(axis=1, ddof=1), len(results)


def _design(trial: Trial) -> tuple[object, ...]:
    split = trial.split
    if split.kind != "cross-validation":
        return ()
    model = trial.recipe.model
    return (trial.data, model.path if model.kind == "custom" else model.kind, split.folds, split.images)
