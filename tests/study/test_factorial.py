from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.study.example_study import FACTOR, NORM, Accuracy, driven, example_context, example_study, model
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.errors import ConfigError
from ceteris.execution.queue import Request
from ceteris.findings import Comparison, Interaction
from ceteris.records import Trial
from ceteris.report.search_words import failure_text, search_text
from ceteris.stats import effect_coding
from ceteris.study import Exploration, Factor, Level, SearchResult, parse_study
from ceteris.study.strategies import search_of
from ceteris.study.strategies.factorial import GridFit, check_grid
from ceteris.study.study import Factorial

EPOCHS = Factor(
    name="epochs", fields=("epochs",), levels=tuple(Level(label=f"{n}", changes={"epochs": n}) for n in (1, 2, 3))
)
OPTIMIZER = Factor(
    name="optimizer",
    fields=("optimizer",),
    tune=(),
    levels=(
        Level(label="sgd", changes={"optimizer": {"kind": "sgd", "lr": 0.05}}),
        Level(label="adam", changes={"optimizer": {"kind": "adam", "lr": 0.001}}),
    ),
)
MOMENTUM = Factor(
    name="momentum",
    fields=("optimizer.momentum",),
    levels=tuple(Level(label=f"m {m}", changes={"optimizer.momentum": m}) for m in (0.0, 0.9)),
)
START = replace(MLP, optimizer=r.SGD(lr=0.05), epochs=1)
BLOCKS = Exploration(folds=5, seeds=1)


def noise(trial: Trial, size: float = 0.002) -> float:
    return size * (int(trial.digest[:6], 16) / 2**24 - 0.5)


def norm_of(trial: Trial) -> bool:
    assert isinstance(trial.recipe.model, r.MLP)
    return trial.recipe.model.batch_norm


def lr_of(trial: Trial) -> float:
    assert isinstance(trial.recipe.optimizer, r.SGD | r.Adam)
    return trial.recipe.optimizer.lr


def synergy(trial: Trial) -> float:
    """A rate of 0.5 costs 0.1 alone and brings 0.1 with normalisation, which alone brings nothing."""
    fast = lr_of(trial) == 0.5
    return 0.6 + (0.1 if norm_of(trial) else -0.1) * fast + noise(trial)


def run(
    accuracy: Accuracy = synergy, factors: tuple[Factor, ...] = (FACTOR, NORM), strategy: Factorial | None = None
) -> tuple[list[Request], SearchResult]:
    place = example_context(
        models=(model("net", START),), factors=factors, exploration=BLOCKS, strategy=strategy or Factorial()
    )
    return driven(search_of(place, place.study.models[0]), accuracy)


# ---------------------------------------------------------------------------------------------------------------------
# Effects: least squares against its oracles


def test_a_full_grid_has_all_cells_on_all_blocks_the_baseline_first() -> None:
    (request,), route = run()
    assert len(request.trials) == 6 * 5
    assert [dict(candidate.settings) for candidate in route.candidates] == [
        {"rate": f"lr {lr}", "norm": norm} for lr, norm in product((0.05, 0.2, 0.5), ("off", "on"))
    ]
    assert request.trials[0].recipe == START


def test_effects_of_a_full_grid_are_differences_of_cell_means() -> None:
    _, route = run()
    cells = {tuple(dict(one.settings).values()): one.accuracies for one in route.candidates}
    for level in route.factors[0].levels:
        np.testing.assert_allclose(level.accuracies, (cells[level.label, "off"] + cells[level.label, "on"]) / 2)
    on = route.factors[1].levels[1]
    means = {norm: np.mean([cell for (_, other), cell in cells.items() if other == norm]) for norm in ("off", "on")}
    assert difference(on.comparison) == pytest.approx(means["on"] - means["off"])
    for entry in route.interactions:
        lr, base = entry.first[1], "lr 0.05"
        expected = cells[lr, "on"] - cells[base, "on"] - cells[lr, "off"] + cells[base, "off"]
        assert difference(entry.comparison) == pytest.approx(expected.mean())


def difference(comparison: Comparison | None) -> float:
    assert comparison is not None
    return comparison.difference


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_effects_of_a_part_of_a_grid_are_those_of_ordinary_least_squares(seed: int, interactions: bool) -> None:
    """statsmodels with treatment coding: without interactions its coefficients are the effects against the baseline."""
    generator = np.random.default_rng(seed)
    sizes = (2, 3, 2)
    full = np.array(list(product(*map(range, sizes))), dtype=np.int64)
    kept = np.sort(generator.permutation(12)[: 11 if interactions else 8])
    results = generator.normal(size=(len(kept), 3))
    fit = GridFit(sizes=sizes, possible=full, trained=full[kept], interactions=interactions)
    coded = effect_coding(full, sizes, interactions=interactions)
    if np.linalg.matrix_rank(coded[kept]) < coded.shape[1]:
        return
    for block in range(3):
        found = sm.OLS(results[:, block], coded[kept]).fit().predict(coded)
        predicted = found.reshape(sizes)

        def estimate(weights: NDArray[np.float64] | None, of_block: int = block) -> float:
            return float(known(weights) @ results[:, of_block])

        for level in (1, 2):
            expected = (predicted[:, level] - predicted[:, 0]).mean()
            assert estimate(fit.effect((1, level))) == pytest.approx(expected)
        corner = predicted[1, 2] - predicted[0, 2] - predicted[1, 0] + predicted[0, 0]
        assert estimate(fit.effect((0, 1), (1, 2))) == pytest.approx(corner.mean(), abs=1e-9)
        assert estimate(fit.marginal_mean(2, 1)) == pytest.approx(predicted[:, :, 1].mean())


def known(weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    assert weights is not None
    return weights


def test_an_effect_that_the_cells_cannot_tell_is_not_invented() -> None:
    full = np.array(list(product(range(2), range(2))), dtype=np.int64)
    fit = GridFit(sizes=(2, 2), possible=full, trained=full[:2], interactions=False)
    assert fit.effect((0, 1)) is None
    np.testing.assert_allclose(known(fit.effect((1, 1))), [-1, 1], atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# What is found and kept


def test_settings_that_only_work_together_are_found() -> None:
    _, route = run()
    assert isinstance(route.best.optimizer, r.SGD)
    assert isinstance(route.best.model, r.MLP)
    assert (route.best.optimizer.lr, route.best.model.batch_norm) == (0.5, True)
    found = {(entry.first[1], entry.second[1]): entry for entry in route.interactions}
    assert verdict(found["lr 0.5", "on"]) == "better"
    assert difference(found["lr 0.5", "on"].comparison) == pytest.approx(0.2, abs=0.005)
    assert verdict(found["lr 0.2", "on"]) == "equivalent"
    assert "more than the sum of their two effects" in search_text(route)
    assert [one.chosen for one in route.candidates] == [False] * 5 + [True]


def verdict(entry: Interaction) -> str:
    return entry.comparison.verdict


def test_the_baseline_stays_where_nothing_is_better() -> None:
    _, route = run(lambda trial: 0.6 + noise(trial, 0.05))
    assert route.best == START
    assert "The baseline stays" in search_text(route)


def test_a_cell_that_diverges_is_left_out_of_the_effects_and_told() -> None:
    _, route = run(lambda trial: None if lr_of(trial) == 0.5 and not norm_of(trial) else synergy(trial))
    fast, slow = route.factors[0].levels[2], route.factors[0].levels[1]
    assert "1 of 2 cells did not finish" in failure_text(fast.failures[0])
    assert slow.comparison is not None
    assert difference(slow.comparison) == pytest.approx(0, abs=0.005)
    assert [one.status for one in route.candidates].count("failed") == 1
    assert "1 cells did not finish" in search_text(route)
    assert route.best.optimizer.lr == 0.5


def test_a_grid_in_which_nothing_finishes_keeps_the_baseline() -> None:
    _, route = run(lambda trial: None)
    assert route.best == START
    assert {one.status for one in route.candidates} == {"failed"}
    assert not any(level.comparison for factor in route.factors for level in factor.levels)


def test_a_level_that_has_no_effect_beside_another_one_is_trained_once() -> None:
    (request,), route = run(lambda trial: 0.5 + noise(trial), factors=(OPTIMIZER, MOMENTUM))
    assert len(request.trials) == 3 * 5  # Adam has no momentum to vary
    assert "1 cells were left out" in search_text(route)
    assert "momentum" in search_text(route)
    assert route.interactions == ()
    assert route.factors[1].levels[1].comparison is not None  # the effect of momentum, where there is one


def test_a_grid_without_factors_trains_nothing() -> None:
    requests, route = run(factors=())
    assert not requests
    assert route.best == START
    assert route.factors == ()


# ---------------------------------------------------------------------------------------------------------------------
# A part of the grid


def test_a_part_of_the_grid_tells_the_main_effects() -> None:
    def additive(trial: Trial) -> float:
        return 0.5 + 0.1 * norm_of(trial) + 0.05 * trial.recipe.epochs + noise(trial)

    part = Factorial(cells=8, interactions=False)
    (request,), route = run(additive, factors=(FACTOR, NORM, EPOCHS), strategy=part)
    assert len(request.trials) == 8 * 5
    assert request.trials[0].recipe == START
    effects = {level.label: level.comparison for factor in route.factors for level in factor.levels}
    assert difference(effects["on"]) == pytest.approx(0.1, abs=0.005)
    assert difference(effects["3"]) == pytest.approx(0.1, abs=0.005)
    assert difference(effects["lr 0.5"]) == pytest.approx(0.0, abs=0.005)
    assert "8 of the 18 cells" in search_text(route)
    again, _ = run(additive, factors=(FACTOR, NORM, EPOCHS), strategy=part)
    assert again[0].trials == request.trials


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (Factorial(cells=5, interactions=False), "6 cells are needed to tell the main effects apart .* received 5"),
        (
            Factorial(cells=9),
            "14 cells are needed .*two-way interactions.* received 9. Raise cells, or set interactions",
        ),
    ],
)
def test_fewer_cells_than_effects_are_refused(strategy: Factorial, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_grid(example_study(factors=(FACTOR, NORM, EPOCHS), strategy=strategy))


def test_a_grid_of_too_many_cells_is_refused_when_the_study_is_read() -> None:
    factors = "".join(
        f'[[factors]]\nname = "{field}"\nfield = "{field}"\nlevels = {list(values)}\n'
        for field, values in {
            "epochs": range(1, 14), "batch_size": range(10, 23), "optimizer.lr": [i / 100 for i in range(1, 14)],
        }.items()
    )  # fmt: skip
    text = f"""name = "big"\ndata = "mnist"\nstrategy = "factorial"\n[models.net]
model = {{ kind = "mlp", hidden = [8] }}\noptimizer = {{ kind = "sgd", lr = 0.01 }}\nepochs = 1\nbatch_size = 10\n{factors}"""
    with pytest.raises(ConfigError, match=r"2,197 cells, 13 \(epochs\).*cells = 100"):
        parse_study(text)
    study = parse_study(text.replace('"factorial"', '{ kind = "factorial", cells = 60, interactions = false }'))
    assert isinstance(study.strategy, Factorial)
