"""A strategy rehearsed with invented records, so that what it asks for is known before anything is trained.

The records are those of a study in which nothing is found: every recipe differs from the baseline by a difference that
changes its sign from fold to fold, so that no comparison is decided and the baseline stays the best.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import assert_never

from ceteris.digests import digest_of
from ceteris.execution.request import Request
from ceteris.recipe import Recipe
from ceteris.records import Cost, CrossValidationSplit, Finished, Trial
from ceteris.study.strategies import strategy_of
from ceteris.study.study import (
    Factorial,
    Greedy,
    Halving,
    Joint,
    LeaveOneOut,
    ModelSpec,
    OneAtATime,
    Race,
    Strategy,
    Study,
)
from ceteris.study.trials import TUNING_REPETITION, ExperimentContext

# Accuracies of the rehearsal: the baseline's, the gain of a level that is to be kept, and swings of the others.
_BASELINE, _GAIN, _LEAST_SWING, _STEADY_SWING = 0.5, 0.02, 0.01, 1e-4


def rehearsed(setting: ExperimentContext, model: ModelSpec) -> Iterator[Request]:
    """Yield what the study's strategy asks for, as many trials as it can ask for within its design."""
    study = replace(setting.study, strategy=in_full(setting.study.strategy))
    search = strategy_of(replace(setting, study=study, extension=None), model)
    invention = _Invention(study=study, best=model.recipe)
    request = next(search)
    while True:
        yield request
        invention.hear(request)
        try:
            request = search.send({trial.digest: invention.record(trial) for trial in request.trials})
        except StopIteration:
            return


def in_full(strategy: Strategy) -> Strategy:
    """Return the strategy in which nothing leaves early: the most that the given one can train."""
    match strategy:
        case Race(along="greedy"):
            return Greedy()
        case Race():
            return OneAtATime()
        case Joint():
            return replace(strategy, pruning=False)
        case Greedy() | OneAtATime() | LeaveOneOut() | Factorial() | Halving():
            return strategy
        case _:
            assert_never(strategy)


def leaves_early(strategy: Strategy) -> bool:
    """Say whether a strategy may train less than what is planned for it."""
    return in_full(strategy) != strategy or isinstance(strategy, Halving)


@dataclass
class _Invention:
    """Accuracies that decide nothing; for leave-one-out the first new level of every factor is kept, to have a full stack."""

    study: Study
    best: Recipe
    kept: dict[str, float] = field(default_factory=dict)

    def hear(self, request: Request) -> None:
        """Choose the level that will be found better, where the strategy is about what was kept."""
        if not isinstance(self.study.strategy, LeaveOneOut) or any(map(self._tunes, request.trials)):
            return
        new = next((trial.recipe for trial in request.trials if trial.recipe != self.best), None)
        if new and digest_of(new) not in self.kept:
            self.kept[digest_of(new)] = _GAIN * (1 + len(self.kept))
            self.best = new

    def record(self, trial: Trial) -> Finished:
        """Return a finished record without history: strategies decide on accuracy, loss and cost."""
        accuracy = self._accuracy(trial)
        return Finished(
            trial=trial,
            accuracy=accuracy,
            f1=accuracy,
            loss=1 - accuracy,
            train_accuracy=accuracy,
            best_epoch=trial.recipe.epochs,
            epoch_count=trial.recipe.epochs,
            step_count=0,
            cost=_COST,
            environment={},
        )

    def _accuracy(self, trial: Trial) -> float:
        if self._tunes(trial):
            return _BASELINE  # all values alike: the one to start from is kept
        digest = digest_of(trial.recipe)
        share = int(digest[:4], 16) / 2**16
        swing = _STEADY_SWING if self.kept else max(_LEAST_SWING, 6 * self.study.equivalence_margin)
        return _BASELINE + self.kept.get(digest, 0.0) + swing * (1 + share) * _sign(trial)

    def _tunes(self, trial: Trial) -> bool:
        return trial.split.seed == self.study.seed + TUNING_REPETITION


def _sign(trial: Trial) -> int:
    """Plus and minus in turns, 0 for the last of an odd number of folds, so that every repetition's mean difference is 0."""
    split = trial.split
    if not isinstance(split, CrossValidationSplit) or (split.folds % 2 and split.index == split.folds - 1):
        return 0
    return 1 - 2 * (split.index % 2)


_COST = Cost(
    train_seconds=1.0,
    evaluation_seconds=0.0,
    peak_memory_bytes=0,
    parameters=1,
    forward_flops_per_image=1,
    training_flops=1,
    images_per_second=1.0,
)
