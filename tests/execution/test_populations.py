from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.study.example_study import example_context
from tests.tiny_trials import CNN, MLP, RESNET, tiny_trial

from ceteris import recipe as r
from ceteris.execution.populations import (
    NEVER,
    DeviceTable,
    Place,
    Speed,
    Stacking,
    as_population,
    stacked_folds,
    tasks_of,
)
from ceteris.records import CrossValidationSplit, Trial
from ceteris.study import Exploration, exploration_trials

PLACE = Place(processor="p", torch="2.0", device="cpu")
FAST = {"narrow mlp": (100.0, 200.0, 240.0), "narrow cnn": (100.0, 130.0, 120.0), "wide cnn": (100.0, 110.0, 114.0)}


def stacking() -> Stacking:
    speeds = tuple(
        Speed(network=network, members=members, images_per_second=speed)  # type: ignore[arg-type]
        for network, curve in FAST.items()
        for members, speed in zip((1, 5, 8), curve, strict=True)
    )
    return Stacking(table=DeviceTable(place=PLACE, speeds=speeds))


def folds(recipe: r.Recipe, count: int, *seeds: int) -> list[Trial]:
    return [
        tiny_trial(recipe, seed=seed, split=CrossValidationSplit(folds=count, index=fold, seed=seed))
        for seed in seeds or (0,)
        for fold in range(count)
    ]


def sizes(trials: tuple[Trial, ...]) -> list[int]:
    """The sizes of the tasks, in order."""
    return [len(task.trials) for task in tasks_of(trials)]


def test_marking_changes_nothing_but_the_execution() -> None:
    trials = folds(MLP, 3)
    for trial, marked in zip(trials, as_population(trials), strict=True):
        assert marked.execution.members == 3
        assert replace(marked, execution=trial.execution) == trial
    assert as_population(trials[:1]) == (trials[0],)
    assert as_population(as_population(trials)) == as_population(trials)
    assert as_population(as_population(trials)[:1]) == (trials[0],)


def test_a_population_s_address_tells_its_members_and_their_order() -> None:
    trials = folds(MLP, 4)
    others = [trials, trials[::-1], trials[:3], trials[1:], folds(MLP, 4, 1), folds(replace(MLP, epochs=3), 4)]
    found = {as_population(members)[0].execution.population for members in others}
    assert len(found) == len(others)
    marked = as_population(trials)
    assert len({trial.execution.population for trial in marked}) == 1
    assert not {trial.digest for trial in marked} & {trial.digest for trial in trials}


def test_without_a_table_every_trial_is_trained_alone() -> None:
    trials = tuple(folds(MLP, 5, 0, 1))
    assert stacked_folds(trials, NEVER) == trials


@pytest.mark.parametrize(
    ("recipe", "count", "expected"),
    [
        (MLP, 5, [5]),
        (MLP, 2, [2]),
        (MLP, 8, [8]),
        (MLP, 10, [5, 5]),
        (MLP, 19, [7, 6, 6]),
        (CNN, 5, [5]),
        (CNN, 2, [1, 1]),  # 1.13 times as fast: not worth it
        (CNN, 10, [5, 5]),
        (CNN, 8, [4, 4]),
        (replace(CNN, model=r.CNN(filters=(32, 128), kernels=(3, 3))), 5, [1] * 5),
        (RESNET, 5, [1] * 5),  # was not measured
    ],
)
def test_folds_are_stacked_where_the_table_says_that_it_pays(recipe: r.Recipe, count: int, expected: list[int]) -> None:
    found = stacked_folds(folds(recipe, count, 0, 1), stacking())
    assert sizes(found) == 2 * expected
    assert [trial.split for trial in found] == [trial.split for trial in folds(recipe, count, 0, 1)]


def test_own_models_are_trained_alone() -> None:
    own = replace(MLP, model=r.CustomModel(path="a.b:C"))
    assert sizes(stacked_folds(folds(own, 5), stacking())) == [1] * 5


def test_more_repetitions_leave_the_populations_of_the_first_ones_as_they_are() -> None:
    few = stacked_folds(folds(MLP, 5, 0, 1), stacking())
    more = stacked_folds(folds(MLP, 5, 0, 1, 2, 3), stacking())
    assert more[: len(few)] == few


def test_the_exploration_of_a_study_stacks_its_first_blocks_and_then_the_rest_of_a_repetition() -> None:
    alone = example_context(exploration=Exploration(folds=5))
    found = exploration_trials(replace(alone, stacking=stacking()), MLP)
    blocks = exploration_trials(alone, MLP)
    assert [trial.execution.members for trial in found] == [2, 2, 3, 3, 3]
    assert found == stacked_folds(blocks[:2], stacking()) + stacked_folds(blocks[2:], stacking())


@given(count=st.integers(1, 60), curve=st.lists(st.floats(1.0, 1000.0), min_size=3, max_size=3))
def test_sizes_add_up_and_are_worth_it(count: int, curve: list[float]) -> None:
    table = DeviceTable(
        place=PLACE,
        speeds=tuple(
            Speed(network="narrow mlp", members=members, images_per_second=speed)
            for members, speed in zip((1, 5, 8), curve, strict=True)
        ),
    )
    found = Stacking(table=table).sizes(tiny_trial(MLP), count)
    assert sum(found) == count
    assert all(size == 1 or table.gain("narrow mlp", size) >= 1.15 for size in found)
    assert max(found) <= 8 or table.fastest("narrow mlp", count) > 8
