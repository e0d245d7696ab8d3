"""A plan is the study itself, run on a pool that answers with null records and on a clock of its own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.study.example_study import FACTOR, driven, example_context, model
from tests.tiny_trials import MLP, RESNET

from ceteris.execution.populations import DeviceTable, Place, Speed, Stacking
from ceteris.planning.dry_run import dry_run
from ceteris.records import Trial
from ceteris.study import Exploration, Factor, Level, model_experiment, strategy_named
from ceteris.study.study import (
    ConfirmationDesign,
    Factorial,
    Greedy,
    Halving,
    Joint,
    LeaveOneOut,
    Nuisance,
    OneAtATime,
    Race,
    Strategy,
)

TUNED = replace(FACTOR, levels=FACTOR.levels[:2], tune=(Nuisance(field="model.dropout"), Nuisance(trials=4)))


def counts(**other: Any) -> list[tuple[str, int, int]]:
    """Stage, arms and new trials of every planned stage."""
    return [(stage.stage, len(stage.arms), len(stage.trials)) for stage in dry_run(example_context(**other)).stages]


def test_the_plan_counts_what_a_study_will_train() -> None:
    stages = dry_run(example_context(models=(model("mlp"), model("net", RESNET)))).stages
    assert [(stage.model, stage.stage, len(stage.arms), len(stage.trials)) for stage in stages] == [
        ("mlp", "rate", 3, 9), ("mlp", "norm", 2, 3), ("mlp", "confirmation", 3, 36), ("mlp", "final", 2, 4),
        ("net", "rate", 3, 9), ("net", "norm", 2, 3), ("net", "confirmation", 3, 36), ("net", "final", 3, 6),
    ]  # fmt: skip


def test_tuning_is_in_the_plan_round_after_round() -> None:
    stages = dry_run(example_context(factors=(TUNED,))).stages
    # 3 values for each of the 2 arms, then one more for each, on 2 folds; no dropout, so nothing to tune there
    assert [(stage.stage, [len(trials) for trials in stage.rounds]) for stage in stages[:2]] == [
        ("rate: tuning", [12, 4]), ("rate", [6]),
    ]  # fmt: skip


def test_a_study_without_confirmation_plans_none() -> None:
    assert [stage for stage, _, _ in counts(confirmation=ConfirmationDesign(seeds=0))] == ["rate", "norm", "final"]


@pytest.mark.parametrize("strategy", [Greedy(), OneAtATime()])
def test_a_study_that_finds_nothing_asks_for_what_was_planned(strategy: Any) -> None:
    place = example_context(strategy=strategy)
    requests, _ = driven(model_experiment(place, place.study.models[0]), lambda trial: 0.7)
    asked = {trial.digest for request in requests[:-1] for trial in request.trials}
    planned = [stage for stage in dry_run(place).stages if stage.stage not in ("confirmation", "final")]
    assert asked == {trial.digest for stage in planned for trial in stage.trials}


def test_leaving_one_out_is_planned_for_a_stack_of_one_choice_per_factor() -> None:
    stages = {stage.stage: stage for stage in dry_run(example_context(strategy=LeaveOneOut())).stages}
    together = stages["leave one out"]
    assert (len(together.arms), together.comparisons) == (3, 2)
    # the stack is known from the last factor, the stack without the last choice too
    assert len(together.trials) == 3


@pytest.mark.parametrize(("along", "same"), [("greedy", Greedy()), ("one-at-a-time", OneAtATime())])
def test_a_race_is_planned_as_if_nobody_left(along: Any, same: Any) -> None:
    assert counts(strategy=Race(along=along)) == counts(strategy=same)


def test_only_strategies_that_may_save_trainings_are_told_to_leave_early() -> None:
    early: list[Strategy] = [Race(), Joint(), Halving()]
    full: list[Strategy] = [Greedy(), OneAtATime(), LeaveOneOut(), Factorial(), Joint(pruning=False)]
    assert [strategy_named(spec.kind).leaves_early(spec) for spec in (*early, *full)] == [True] * 3 + [False] * 5


@pytest.mark.parametrize("margin", [0.0, 0.005, 0.05])
@pytest.mark.parametrize("folds", [2, 3, 10])
def test_null_records_decide_nothing(margin: float, folds: int) -> None:
    place = example_context(equivalence_margin=margin, exploration=Exploration(folds=folds, seeds=2))
    rate, norm, _, _ = dry_run(place).stages
    assert (len(rate.arms), len(rate.trials)) == (3, 3 * folds * 2)
    # the baseline is still the incumbent: its trials are known, the other level differs from it by the factor alone
    normalised = replace(MLP, model=replace(place.study.models[0].recipe.model, batch_norm=True))  # type: ignore[arg-type]
    assert {trial.recipe for trial in norm.trials} == {normalised}


def test_rounds_wait_for_each_other_and_models_share_the_workers() -> None:
    # mlp: 9 trainings of 3 arms, then 3 of another arm, then 36 to confirm, then 4 finals; net 2 finals more
    place = example_context(models=(model("mlp"), model("net", RESNET)))
    one = dry_run(place, seconds_of=lambda trials: 1.0)
    assert one.seconds == sum(len(stage.trials) for stage in one.stages) == 106
    assert dry_run(place, workers=4, seconds_of=lambda trials: 1.0).seconds == 27  # two trainings wait for others
    alone = dry_run(example_context(factors=()), workers=2, seconds_of=lambda trials: 1.0)
    assert alone.seconds == 1  # two final trainings on two workers: nothing is varied, so nothing is confirmed


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_a_study_takes_as_long_as_its_work_shared_evenly_at_least(workers: int) -> None:
    def seconds(trials: Sequence[Trial]) -> float:
        return 1.0 + int(trials[0].digest[:2], 16) / 64

    run = dry_run(example_context(models=(model("mlp"), model("net", RESNET))), workers=workers, seconds_of=seconds)
    work = sum(seconds(task.trials) for task in run.tasks)
    assert work == pytest.approx(sum(stage.seconds for stage in run.stages))
    assert work / workers - 1e-9 <= run.seconds <= work + 1e-9


def test_what_is_in_the_store_takes_no_time() -> None:
    run = dry_run(
        example_context(), seconds_of=lambda trials: 1.0, is_known=lambda trial: trial.split.kind == "cross-validation"
    )
    assert [(stage.stage, stage.known, stage.seconds) for stage in run.stages] == [
        ("rate", 9, 0), ("norm", 3, 0), ("confirmation", 36, 0), ("final", 0, 4),
    ]  # fmt: skip
    assert (len(run.tasks), run.seconds) == (4, 4)


def test_the_members_of_a_population_are_one_task() -> None:
    stacking = Stacking(
        table=DeviceTable(
            place=Place(processor="any", torch="2.13", device="cpu"),
            speeds=(
                Speed(network="narrow mlp", members=1, images_per_second=1.0),
                Speed(network="narrow mlp", members=3, images_per_second=3.0),
            ),
        )
    )
    place = example_context(factors=(), exploration=Exploration(folds=3, all_models=True))
    run = dry_run(replace(place, stacking=stacking), seconds_of=lambda trials: float(len(trials)))
    assert [len(task.trials) for task in run.tasks] == [2, 1, 1, 1]
    assert run.stages[0].seconds == 3


def test_what_is_compared_is_known_stage_by_stage() -> None:
    design = Exploration(folds=3, seeds=2)
    stages = {stage.stage: stage for stage in dry_run(example_context(exploration=design, factors=(TUNED,))).stages}
    assert {name: (stage.comparisons, stage.blocks) for name, stage in stages.items()} == {
        "rate: tuning": (0, 0), "rate": (1, 6), "confirmation": (2, 12), "final": (0, 0),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["final", "confirmation", "baseline"])
def test_a_factor_may_be_called_like_another_stage(name: str) -> None:
    stages = dry_run(example_context(factors=(replace(FACTOR, name=name),))).stages
    assert [(stage.stage, stage.kind, stage.comparisons, len(stage.trials)) for stage in stages] == [
        (name, "comparison", 2, 9), ("confirmation", "confirmation", 2, 36), ("final", "final", 0, 4),
    ]  # fmt: skip


def test_the_plan_of_a_study_without_factors_is_its_final_trainings() -> None:
    assert counts(factors=()) == [("final", 1, 2)]


def test_a_factor_that_fits_one_model_only_is_planned_there() -> None:
    only = Factor(
        name="blocks",
        fields=("model.blocks",),
        models=("net",),
        levels=(Level(label="more", changes={"model.blocks": [2, 2]}),),
    )
    stages = dry_run(example_context(models=(model("mlp"), model("net", RESNET)), factors=(only,))).stages
    assert [(stage.model, stage.stage) for stage in stages if stage.stage == "blocks"] == [("net", "blocks")]


@pytest.mark.parametrize(
    ("strategy", "trained"),
    [
        (Factorial(), 6 * 3),  # 3 rates x normalisation off and on, 3 folds each
        (Joint(trials=5, pruning=True), 5 * 3),
        (Halving(candidates=4, reduction=2, shortest=1), None),
    ],
)
def test_searches_over_whole_recipes_are_planned_too(strategy: Any, trained: int | None) -> None:
    stages = dry_run(example_context(strategy=strategy)).stages
    exploration = [stage for stage in stages if stage.stage not in ("confirmation", "final")]
    planned = sum(len(stage.trials) for stage in exploration)
    assert planned == trained if trained else planned > 0
    assert [stage.stage for stage in stages[-2:]] == ["confirmation", "final"]
