"""What a study will train, before it trains anything."""

from collections.abc import Callable
from dataclasses import dataclass

from ceteris.recipe import Recipe
from ceteris.records import HoldoutSplit, Trial
from ceteris.store import trial_digest
from ceteris.study.greedy import arms_of
from ceteris.study.mission import final_recipes
from ceteris.study.study import StudyModel, factors_of
from ceteris.study.trials import Setting, exploration_trials, final_trials


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One factor of one model, or its final trainings: the trials that are new in it, one recipe per arm."""

    model: str
    stage: str
    arms: tuple[str, ...]
    trials: tuple[Trial, ...]


def planned_stages(setting: Setting) -> tuple[PlannedStage, ...]:
    """Return all stages, model after model, as if every baseline stayed the best.

    A study that finds better settings trains the same number of trials, but of other recipes; a level that becomes the
    incumbent may add or save one arm in a later stage.
    """
    return tuple(stage for model in setting.study.models for stage in _stages_of(setting, model))


def _stages_of(setting: Setting, model: StudyModel) -> list[PlannedStage]:
    seen: set[str] = set()
    stages = []
    for factor in factors_of(setting.study, model.name):
        arms, _ = arms_of(factor, model.recipe)
        stages.append(_stage(model.name, factor.name, arms, lambda recipe: exploration_trials(setting, recipe), seen))
    if not stages:
        baseline = {"baseline": model.recipe}
        stages.append(
            _stage(model.name, "baseline", baseline, lambda recipe: exploration_trials(setting, recipe), seen)
        )
    # The best recipe is not known yet: it is counted as one more recipe like the baseline.
    finals = {str(version): recipe for version, recipe in final_recipes(model.recipe, model.recipe).items()}
    stages.append(_stage(model.name, "final", finals, lambda recipe: final_trials(setting, recipe), set()))
    return stages


def _stage(
    model: str,
    stage: str,
    arms: dict[str, Recipe],
    trials_of: Callable[[Recipe], tuple[Trial, ...]],
    seen: set[str],
) -> PlannedStage:
    new: list[Trial] = []
    for recipe in arms.values():
        for trial in trials_of(recipe):
            digest = trial_digest(trial)
            # Baseline and best count as two in the final stage although they look alike before the exploration.
            if digest not in seen or stage == "final":
                seen.add(digest)
                new.append(trial)
    return PlannedStage(model=model, stage=stage, arms=tuple(arms), trials=tuple(new))


def images_fitted(trial: Trial, train_count: int) -> int:
    """Return on how many images a trial fits."""
    if isinstance(trial.split, HoldoutSplit):
        return round(train_count * (1 - trial.split.fraction))
    sample = min(trial.split.images or train_count, train_count)
    return round(sample * (1 - 1 / trial.split.folds))
