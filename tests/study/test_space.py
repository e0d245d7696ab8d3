from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.study.example_search import ACTIVATION, DROPOUT, RATE, place_of
from tests.study.example_study import NORM, example_study, model
from tests.tiny_trials import CNN, MLP

from ceteris import recipe as r
from ceteris.digests import digest_of
from ceteris.errors import ConfigError
from ceteris.study import Factor, Level, Study, parse_study
from ceteris.study.strategies.sampling import quasi_random_points
from ceteris.study.strategies.space import Space, space_of
from ceteris.study.study import Halving, Joint, Range

EPOCHS = Range(field="epochs", low=1, high=40, log=True)
OPTIMIZER = Factor(
    name="optimizer",
    fields=("optimizer",),
    levels=(
        Level(label="sgd", changes={"optimizer": {"kind": "sgd", "lr": 0.05}}),
        Level(label="adam", changes={"optimizer": {"kind": "adam", "lr": 0.5}}),
    ),
)
MOMENTUM = Range(field="optimizer.momentum", low=0.0, high=0.99)


def space(*ranges: Range, recipe: r.Recipe = MLP, factors: tuple[Factor, ...] = ()) -> Space:
    study = example_study(models=(model("net", recipe),), factors=factors, strategy=Joint(ranges=ranges))
    return space_of(study, study.models[0])


FULL = space(RATE, DROPOUT, EPOCHS, factors=(NORM, ACTIVATION))


def test_the_start_of_a_space_is_the_baseline() -> None:
    drawn = FULL.sampled(FULL.start)
    assert drawn.recipe == MLP
    assert drawn.settings == (
        ("norm", "off"), ("activation", "relu"), ("optimizer.lr", "0.05"), ("model.dropout", "0"), ("epochs", "2"),
    )  # fmt: skip


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=5))
def test_every_point_is_a_recipe_inside_the_ranges(shares: list[float]) -> None:
    recipe = FULL.sampled(FULL.at(np.array(shares))).recipe
    assert recipe is not None
    assert isinstance(recipe.optimizer, r.SGD)
    assert isinstance(recipe.model, r.MLP)
    assert isinstance(recipe.model.dropout, float)
    assert 0.001 <= recipe.optimizer.lr <= 2
    assert 0 <= recipe.model.dropout <= 0.8
    assert 1 <= recipe.epochs <= 40
    assert isinstance(recipe.epochs, int)


def test_a_logarithmic_range_is_halved_at_its_geometric_middle() -> None:
    (middle,) = space(RATE).at(np.array([0.5]))
    assert middle == pytest.approx(np.sqrt(0.001 * 2), rel=1e-3)
    assert space(DROPOUT).at(np.array([0.5])) == (0.4,)


def test_whole_numbers_have_equal_shares() -> None:
    few = space(Range(field="epochs", low=1, high=4))
    drawn = [few.at(np.array([share]))[0] for share in (np.arange(4000) + 0.5) / 4000]
    assert np.unique(drawn, return_counts=True)[1].tolist() == [1000] * 4


def test_a_range_holds_for_whichever_optimizer_was_chosen() -> None:
    both = space(RATE, factors=(OPTIMIZER,))
    assert both.sampled(("adam", 0.01)).recipe == replace(MLP, optimizer=r.Adam(lr=0.01))
    assert both.sampled(("sgd", 0.01)).recipe == replace(MLP, optimizer=r.SGD(lr=0.01))


def test_a_number_that_the_recipe_does_not_have_has_no_effect_and_it_is_told() -> None:
    both = space(MOMENTUM, factors=(OPTIMIZER,))
    first, second = (both.sampled(("adam", momentum)) for momentum in (0.1, 0.9))
    assert first.recipe == second.recipe == replace(MLP, optimizer=r.Adam(lr=0.5))
    assert first.settings == (("optimizer", "adam"), ("optimizer.momentum", "–"))
    assert first.idle == (("optimizer.momentum", "optimizer.momentum"),)


def test_values_that_do_not_go_together_are_no_recipe_and_the_reason_is_told() -> None:
    depth = Factor(
        name="depth",
        fields=("model.filters", "model.kernels"),
        levels=(Level(label="one block", changes={"model.filters": [8], "model.kernels": [3]}),),
    )
    pooling = Factor(
        name="pooling",
        fields=("model.pool_after",),
        levels=(Level(label="after 2", changes={"model.pool_after": [2]}),),
    )
    drawn = space(recipe=CNN, factors=(depth, pooling)).sampled(("one block", "after 2"))
    assert drawn.recipe is None
    assert "pool_after names blocks from 1 to 1" in drawn.reason


def test_half_of_a_level_is_not_taken() -> None:
    pair = Factor(
        name="pair",
        fields=("model.dropout", "optimizer.momentum"),
        levels=(Level(label="both", changes={"model.dropout": 0.1, "optimizer.momentum": 0.9}),),
    )
    drawn = space(factors=(OPTIMIZER, pair)).sampled(("adam", "both"))
    assert drawn.recipe is None
    assert drawn.reason == 'pair: the recipe has no field "optimizer.momentum"'


def test_a_small_finite_space_is_visited_point_by_point() -> None:
    small = space(factors=(NORM, ACTIVATION))
    points = list(small.points(np.random.default_rng(0)))
    assert len(points) == len(set(points)) == 8
    assert len({digest_of(small.sampled(point).recipe) for point in points}) == 8
    assert list(space().points(np.random.default_rng(0))) == [()]


def test_a_range_of_another_model_is_no_dimension() -> None:
    study = example_study(
        models=(model("mlp"), model("cnn", replace(CNN, optimizer=r.Adam(lr=0.1)))),
        factors=(),
        strategy=Joint(ranges=(MOMENTUM,)),
    )
    assert [len(space_of(study, one).dimensions) for one in study.models] == [1, 0]


def test_quasi_random_points_are_even_in_choices_and_numbers() -> None:
    study = place_of(Halving(ranges=(DROPOUT,)), factors=(NORM,), seed=3).study
    points = quasi_random_points(space_of(study, study.models[0]), study)
    drawn = [next(points) for _ in range(64)]
    assert sum(point[0] == "on" for point in drawn) == 32
    eighths = np.histogram([float(point[1]) for point in drawn], bins=8, range=(0, 0.8))[0]
    assert eighths.tolist() == [8] * 8


# ---------------------------------------------------------------------------------------------------------------------
# Study files


def study_file(strategy: str, more: str = "") -> Study:
    return parse_study(
        f"""
        name = "search"
        data = "digits"
        strategy = {strategy}
        models.mlp = {{ model = "mlp", optimizer = {{ kind = "sgd", lr = 0.1 }} }}
        {more}
        """
    )


NORM_FILE = """
        [[factors]]
        name = "norm"
        field = "model.batch_norm"
        levels = [false, true]
"""


def one_range(field: str, low: object, high: object, kind: str = "joint", more: str = "") -> str:
    return f'{{ kind = "{kind}", ranges = [{{ field = "{field}", low = {low}, high = {high}{more} }}] }}'


def test_a_search_is_written_as_its_name_or_with_its_ranges() -> None:
    assert study_file('"joint"', NORM_FILE).strategy == Joint()
    written = study_file(one_range("optimizer.lr", 0.01, 1.0, "halving", ", log = true"))
    assert written.strategy == Halving(ranges=(Range(field="optimizer.lr", low=0.01, high=1.0, log=True),))


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ('"joint"', ["joint has nothing to search"]),
        (one_range("optimizer.rate", 0, 1), ['no recipe has a number in "optimizer.rate"', "optimizer.lr"]),
        (one_range("optimizer.lrr", 0, 1), ['Did you mean "optimizer.lr"?']),
        (one_range("model.activation", 0, 1), ['no recipe has a number in "model.activation"']),
        (one_range("optimizer.lr", 0.2, 1.0), ["the baseline of mlp has 0.1, outside of 0.2 to 1", "widen the range"]),
        (one_range("optimizer.lr", 0.0, 1.0), ["ranges[optimizer.lr].low: model mlp does not allow 0", "greater than 0"]),
        (one_range("model.dropout", 0.0, 1.5), ["ranges[model.dropout].high", "less than 1"]),
        (one_range("epochs", 10.2, 10.9), ["fewer than two", "10.2"]),
        (one_range("optimizer.lr", 1.0, 0.1), ["a range needs low < high"]),
        ('{ kind = "joint", trails = 3 }', ['Did you mean "trials"?']),
        (
            '{ kind = "joint", sampler = "cma-es", ranges = [{ field = "epochs", low = 1, high = 20 }] }',
            ["cma-es needs at least two ranges", "tpe"],
        ),
        (
            '{ kind = "joint", ranges = [{ field = "epochs", low = 1, high = 20 }, { field = "epochs", low = 2, high = 30 }]}',
            ['"epochs" is there twice'],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_told_when_the_study_is_read(strategy: str, told: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        study_file(strategy)
    for part in told:
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (one_range("model.batch_norm", 0, 1), 'the factor "norm" sets this field too'),
        (
            '{ kind = "joint", sampler = "cma-es", ranges = [{ field = "epochs", low = 1, high = 20 }] }',
            "cannot choose among the levels of norm",
        ),
    ],
)
def test_a_search_that_does_not_go_with_the_factors_is_told(strategy: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        study_file(strategy, NORM_FILE)
