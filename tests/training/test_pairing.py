"""Two arms of a comparison see the same draws, whatever else differs between them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.example_records import assert_same
from tests.tiny_training import losses, record_of, train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_trial
from tests.training import own_code

from ceteris import recipe as r
from ceteris.records import HoldoutSplit, finished
from ceteris.training.single import Streams, streams_of
from ceteris.user_code import ALL_IMPORTS

# What no two runs share: the clock and the memory of the process.
MEASURED = frozenset({"seconds", "cost"})
# A step of this size changes no weight, so that the draws alone can make a difference.
STILL = 1e-30
DRAWING = replace(
    CNN,
    model=r.CNN(filters=(4, 8), kernels=(3, 3), head=(8,), dropout=0.5),
    augmentation=(r.Rotate(), r.Noise(), r.Mixup()),
)
OWN = "tests.training.own_code:"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    own_code.Recording.seen.clear()
    own_code.seen_targets.clear()
    yield
    own_code.Recording.seen.clear()


@pytest.mark.parametrize("recipe", [MLP, CNN, RESNET, DRAWING], ids=["mlp", "cnn", "resnet", "drawing"])
def test_the_same_trial_gives_the_same_record_bit_for_bit(recipe: r.Recipe) -> None:
    first, second = record_of(recipe), record_of(recipe)
    assert_same(first, second, but=MEASURED)
    assert first.accuracy - second.accuracy == 0.0


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}])
def test_another_seed_or_fold_gives_another_training(change: dict[str, int]) -> None:
    assert (losses(DRAWING) != losses(DRAWING, **change)).all()


def test_the_state_of_the_global_generators_neither_matters_nor_changes() -> None:
    first = losses(DRAWING)
    torch.rand(7)
    np.random.standard_normal(7)  # noqa: NPY002 - the global generator is the point
    before = torch.random.get_rng_state()
    np.testing.assert_array_equal(losses(DRAWING), first)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("optimizer", [r.SGD(lr=STILL, momentum=0.9), r.Adam(lr=STILL), r.RMSprop(lr=STILL)])
def test_another_optimizer_meets_the_same_weights_batches_augmentations_and_dropout(optimizer: Any) -> None:
    plain = replace(DRAWING, optimizer=r.SGD(lr=STILL), epochs=3)
    np.testing.assert_array_equal(losses(replace(plain, optimizer=optimizer)), losses(plain))


def test_another_optimizer_begins_with_exactly_the_same_loss_and_then_parts() -> None:
    sgd, adam = losses(DRAWING), losses(replace(DRAWING, optimizer=r.Adam()))
    assert sgd[0] == adam[0]
    assert (sgd[1:] != adam[1:]).all()


@pytest.mark.parametrize(
    "change", [{"schedule": r.Cosine()}, {"penalty": r.L2(strength=0.1)}, {"clipping": r.ClipNorm(maximum=1e-3)}]
)
def test_what_acts_on_the_step_leaves_the_first_loss_alone(change: dict[str, Any]) -> None:
    changed = losses(replace(DRAWING, **change))
    assert changed[0] == losses(DRAWING)[0]
    assert (changed[2:] != losses(DRAWING)[2:]).any()


def labels_met(recipe: r.Recipe) -> list[list[int]]:
    own_code.seen_targets.clear()
    loss = r.CustomLoss(path=OWN + "written_out_cross_entropy")
    assert train(tiny_trial(replace(recipe, loss=loss)), imports=ALL_IMPORTS).record.status == "finished"
    return own_code.seen_targets.copy()


@pytest.mark.parametrize(
    "recipe",
    [CNN, replace(MLP, model=r.MLP(dropout=0.5)), replace(MLP, augmentation=(r.Elastic(), r.Noise())), RESNET],
    ids=["cnn", "dropout", "augmentation", "resnet"],
)
def test_batches_come_in_the_same_order_for_every_model_and_technique(recipe: r.Recipe) -> None:
    assert labels_met(recipe) == labels_met(MLP)


def images_met(**arguments: object) -> torch.Tensor:
    own_code.Recording.seen.clear()
    model = r.CustomModel(path=OWN + "Recording", arguments=arguments)
    recipe = replace(MLP, model=model, augmentation=(r.Shift(), r.Noise()))
    assert train(tiny_trial(recipe), imports=ALL_IMPORTS).record.status == "finished"
    return torch.stack([batch for batch in own_code.Recording.seen if len(batch) == 8])


@pytest.mark.parametrize("arguments", [{"dropout": 0.5}, {"extra_draws": 1000}])
def test_more_draws_for_dropout_or_initialisation_move_no_augmentation(arguments: dict[str, object]) -> None:
    assert torch.equal(images_met(**arguments), images_met())


def test_every_batch_of_every_epoch_is_augmented_anew() -> None:
    met = images_met().flatten(1)
    assert len(met) == 2 * (32 // 8)
    assert len(torch.unique(met, dim=0)) == len(met)


def streams(**trial: Any) -> Streams:
    return streams_of(tiny_trial(**trial))


@pytest.mark.parametrize("role", ["initialisation", "order", "augmentation", "dropout"])
def test_drawing_from_one_stream_moves_no_other(role: str) -> None:
    used, fresh = streams(), streams()
    torch.rand(1000, generator=getattr(used, role))
    others = {"initialisation", "order", "augmentation", "dropout"} - {role}
    for other in others:
        assert torch.equal(
            torch.rand(3, generator=getattr(used, other)), torch.rand(3, generator=getattr(fresh, other))
        )


def test_streams_depend_on_seed_and_fold_and_on_nothing_else() -> None:
    def first(**trial: Any) -> float:
        return float(torch.rand((), generator=streams(**trial).order))

    assert first(recipe=CNN) == first(recipe=MLP, patience=3, keep_weights=True)
    assert first(split=HoldoutSplit(fraction=0.5, seed=9)) == first(split=HoldoutSplit(fraction=0.1, seed=3))
    assert len({first(), first(seed=1), first(fold=1), first(fold=2)}) == 4


def test_no_two_streams_of_a_trial_draw_the_same_numbers() -> None:
    of_trial = streams()
    roles = ("initialisation", "order", "augmentation", "dropout")
    assert len({float(torch.rand((), generator=getattr(of_trial, role))) for role in roles}) == len(roles)


def own_losses(**trial: Any) -> list[float]:
    recipe = replace(MLP, model=r.CustomModel(path=OWN + "Recording", arguments={"dropout": 0.5}))
    record = finished(train(tiny_trial(recipe, **trial), imports=ALL_IMPORTS).record)
    assert record.iterations is not None
    return [float(loss) for loss in record.iterations.loss]


def test_an_own_model_s_weights_and_dropout_come_from_the_streams_of_its_trial() -> None:
    first = own_losses()
    torch.rand(5)
    before = torch.random.get_rng_state()
    assert own_losses() == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert own_losses(seed=1)[0] != first[0]
