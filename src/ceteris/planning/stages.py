"""What a study will train, before it trains anything."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ceteris.execution.request import Request, StageKind
from ceteris.planning.rehearsal import rehearsed
from ceteris.records import HoldoutSplit, Trial
from ceteris.study.model_experiment import final_recipes
from ceteris.study.study import ModelSpec
from ceteris.study.trials import ExperimentContext, confirmation_trials, final_trials


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One stage of one model: what is compared in it, and the trials that are new in it, round after round.

    A round begins when the one before it is finished. ``comparisons`` is the number of levels that are each compared with
    the incumbent on ``blocks`` blocks, 0 where the stage compares nothing by pairs.
    """

    model: str
    stage: str
    kind: StageKind
    arms: tuple[str, ...]
    rounds: tuple[tuple[Trial, ...], ...]
    comparisons: int = 0
    blocks: int = 0

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All new trials of the stage."""
        return tuple(trial for trials in self.rounds for trial in trials)


def planned_stages(setting: ExperimentContext) -> tuple[PlannedStage, ...]:
    """Return all stages, model after model, as if every baseline stayed the best in the exploration.

    A study that finds better settings trains about as many trials, but of other recipes: a level that becomes the
    incumbent may add or save one arm in a later stage. Repetitions beyond the design are not planned.
    """
    return tuple(stage for model in setting.study.models for stage in _stages_of(setting, model))


def _stages_of(setting: ExperimentContext, model: ModelSpec) -> list[PlannedStage]:
    stages = _exploration(setting, model)
    # The best recipe is not known yet: it is counted as one more recipe like the baseline.
    if setting.study.confirmation.seeds:
        trials = confirmation_trials(setting, model.recipe)
        stages.append(
            PlannedStage(
                model=model.name,
                stage="confirmation",
                kind="confirmation",
                arms=("baseline", "best"),
                rounds=((*trials, *trials),),
                comparisons=1,
                blocks=len(trials),
            )
        )
    finals = final_recipes(model.recipe, model.recipe)
    trials = tuple(trial for recipe in finals.values() for trial in final_trials(setting, recipe))
    return [
        *stages,
        PlannedStage(model=model.name, stage="final", kind="final", arms=tuple(finals), rounds=(trials,)),
    ]


def _exploration(setting: ExperimentContext, model: ModelSpec) -> list[PlannedStage]:
    """Gather the requests of a rehearsal by their stage; a trial that was asked for before is not new."""
    seen: set[str] = set()
    requests: dict[tuple[StageKind, str], list[Request]] = {}
    rounds: dict[tuple[StageKind, str], list[tuple[Trial, ...]]] = {}
    for request in rehearsed(setting, model):
        requests.setdefault((request.kind, request.stage), []).append(request)
        rounds.setdefault((request.kind, request.stage), []).append(tuple(_new(request.trials, seen)))
    return [_stage(setting, model, of_stage, rounds[name]) for name, of_stage in requests.items()]


def _stage(
    setting: ExperimentContext, model: ModelSpec, requests: Sequence[Request], rounds: Sequence[tuple[Trial, ...]]
) -> PlannedStage:
    first, exploration = requests[0], setting.study.exploration
    arms = tuple(dict.fromkeys(label for request in requests for label in request.labels))
    compared = first.kind == "comparison"
    return PlannedStage(
        model=model.name,
        stage=first.stage,
        kind=first.kind,
        arms=arms,
        rounds=tuple(trials for trials in rounds if trials),
        comparisons=len(arms) - 1 if compared else 0,
        blocks=exploration.folds * exploration.seeds if compared else 0,
    )


def _new(trials: Iterable[Trial], seen: set[str]) -> list[Trial]:
    new = []
    for trial in trials:
        digest = trial.digest
        if digest not in seen:
            seen.add(digest)
            new.append(trial)
    return new


def images_fitted(trial: Trial, train_count: int) -> int:
    """Return on how many images a trial fits."""
    if isinstance(trial.split, HoldoutSplit):
        return round(train_count * (1 - trial.split.fraction))
    sample = min(trial.split.images or train_count, train_count)
    return round(sample * (1 - 1 / trial.split.folds))


def images_held_out(trial: Trial, train_count: int) -> int:
    """Return how many images a trial holds out."""
    used = train_count if isinstance(trial.split, HoldoutSplit) else min(trial.split.images or train_count, train_count)
    return used - images_fitted(trial, train_count)
