"""The sources of luck: each varies alone, everything else is held, and what was put in is found again."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from tests.study.example_study import FACTOR, driven, example_context, example_study, model
from tests.tiny_trials import tiny_trial

from ceteris.records import CrossValidationSplit, Trial
from ceteris.study import Factor, Level
from ceteris.study.luck import VARIANCE_REPETITION, sources_of_luck
from ceteris.training.single import streams_of

SPREADS = {"split": 0.02, "initialisation": 0.01, "order": 0.003}
OPTIMIZER = Factor(
    name="optimizer",
    fields=("optimizer",),
    levels=(Level(label="sgd", changes={"optimizer": {"kind": "sgd", "lr": 0.1}}),),
)


def split_seed(trial: Trial) -> int:
    assert isinstance(trial.split, CrossValidationSplit)
    return trial.split.seed


def lucky(trial: Trial) -> float:
    """Accuracy with luck of known size from each source."""
    order = trial.seed if trial.order_seed is None else trial.order_seed
    drawn = {"split": split_seed(trial), "initialisation": trial.seed, "order": order}
    return 0.8 + sum(
        SPREADS[source] * float(np.random.default_rng((seed, place)).normal())
        for place, (source, seed) in enumerate(drawn.items())
    )


def test_each_source_varies_alone_and_its_size_is_found() -> None:
    context = example_context(variance=60, factors=(FACTOR,))
    requests, found = driven(sources_of_luck(context, model(), model().recipe), lucky)
    assert len(requests) == 1
    sizes = {source.source: source for source in found}
    assert list(sizes) == [
        "split",
        "initialisation",
        "order",
        "all",
    ]  # without labels nobody knows how many images there are
    for source, spread in SPREADS.items():
        assert sizes[source].low < spread < sizes[source].high  # type: ignore[index]
        assert len(sizes[source].accuracies) == 60  # type: ignore[index]
    assert sizes["all"].low < np.sqrt(sum(spread**2 for spread in SPREADS.values())) < sizes["all"].high


def test_the_luck_of_the_images_is_that_of_drawing_so_many() -> None:
    labels = np.arange(90) % 3
    context = replace(example_context(variance=4, factors=()), labels=labels)
    _, found = driven(sources_of_luck(context, model(), model().recipe), lambda trial: 0.9)
    assert found[0].source == "images"
    assert found[0].deviation == pytest.approx(np.sqrt(0.9 * 0.1 / 30))
    assert [source.deviation for source in found[1:]] == [0.0] * 4


def test_tuning_is_a_source_where_the_study_tunes() -> None:
    context = example_context(variance=3, factors=(OPTIMIZER,))

    def rated(trial: Trial) -> float:  # the best rate is another one for every tuning
        if split_seed(trial) < 2 * VARIANCE_REPETITION and trial.seed != VARIANCE_REPETITION:
            return 0.8 - 0.05 * abs(float(np.log10(trial.recipe.optimizer.lr)) - trial.seed % 3)
        return 0.8 + 0.01 * float(np.log10(trial.recipe.optimizer.lr))

    requests, found = driven(sources_of_luck(context, model(), model().recipe), rated)
    assert len(requests) > 3
    tuning = next(source for source in found if source.source == "tuning")
    assert len(tuning.accuracies) == 3


def test_trainings_that_do_not_finish_are_left_out() -> None:
    context = example_context(variance=3, factors=())
    _, found = driven(
        sources_of_luck(context, model(), model().recipe),
        lambda trial: None if trial.order_seed == VARIANCE_REPETITION + 1 else lucky(trial),
    )
    assert {source.source: len(source.accuracies) for source in found} == {
        "split": 3, "initialisation": 3, "order": 2, "all": 3,
    }  # fmt: skip


def test_without_the_key_nothing_is_asked() -> None:
    assert driven(sources_of_luck(example_context(), model(), model().recipe), lucky) == ([], ())
    with pytest.raises(ValidationError, match="variance"):
        example_study(variance=1)


def test_order_and_initial_weights_have_seeds_of_their_own() -> None:
    trial = tiny_trial(seed=1)
    other = replace(trial, order_seed=2)
    first, second = streams_of(trial), streams_of(other)
    assert first.initialisation.initial_seed() == second.initialisation.initial_seed()
    for stream in ("order", "augmentation", "dropout"):
        assert getattr(first, stream).initial_seed() != getattr(second, stream).initial_seed()
    assert streams_of(replace(trial, order_seed=1)).order.initial_seed() == first.order.initial_seed()
    assert trial.digest != other.digest
