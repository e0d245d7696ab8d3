"""Networks that are too large are refused by arithmetic, in words, before anything of them is made."""

import time
import tracemalloc
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny_training import record_of
from tests.tiny_trials import MLP

from ceteris import recipe as r
from ceteris.errors import ConfigError
from ceteris.models import size
from ceteris.models.size import LARGEST_LAYERS, Size, require_buildable, training_bytes
from ceteris.training import build

HUGE = 10**9
HOSTILE: dict[str, r.Model] = {
    "hidden": r.MLP(hidden=(HUGE,)),
    "many hidden": r.MLP(hidden=(1,) * 200_000),
    "filters": r.CNN(filters=(HUGE, HUGE), kernels=(31, 31)),
    "convolutions per block": r.CNN(convolutions_per_block=HUGE),
    "head of a cnn": r.CNN(head=(HUGE, HUGE)),
    "blocks": r.ResNet(blocks=(HUGE, HUGE), filters=(1, 1)),
    "filters of a resnet": r.ResNet(blocks=(1,), filters=(HUGE,), kernel=31),
    "head of a resnet": r.ResNet(head=(HUGE,)),
}


def built(model: r.Model, shape: tuple[int, int, int] = (1, 28, 28), batch_size: int = 1) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    return build.build_model(model, input_shape=shape, classes=10, generator=generator, batch_size=batch_size)


@pytest.mark.parametrize("model", HOSTILE.values(), ids=HOSTILE)
def test_a_network_that_no_machine_could_hold_is_refused_at_once_and_in_words(model: r.Model) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(
        ConfigError, match=r"the model would have .*; the limit is .*\. Choose smaller (hidden|filters|blocks)"
    ):
        built(model)
    assert time.process_time() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()


def test_images_that_are_too_large_for_a_batch_are_refused_with_the_memory_that_they_need() -> None:
    with pytest.raises(ConfigError, match=r"a training step of about [\d,.]+ GiB in batches of 1,000,000 images"):
        built(r.CNN(global_average_pooling=True), (3, 4096, 4096), batch_size=10**6)


def test_the_limits_are_inclusive() -> None:
    require_buildable(Size(layers=LARGEST_LAYERS, parameters=1, values=1), 1, "hidden")
    with pytest.raises(ConfigError, match="10,001 layers; the limit is 10,000"):
        require_buildable(Size(layers=LARGEST_LAYERS + 1, parameters=1, values=1), 1, "hidden")
    assert training_bytes(Size(1, 10, 100), 3) == 16 * 10 + 8 * 3 * 100


_widths = st.lists(st.integers(1, 24), min_size=1, max_size=3).map(tuple)
_convolutional = st.integers(1, 3).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            "filters": st.lists(st.integers(1, 12), min_size=count, max_size=count).map(
                lambda sizes: tuple(sorted(sizes))
            ),
            "kernels": st.lists(st.sampled_from([1, 3, 5]), min_size=count, max_size=count).map(tuple),
            "blocks": st.lists(st.integers(1, 3), min_size=count, max_size=count).map(tuple),
        }
    )
)


@given(
    kind=st.sampled_from(["mlp", "cnn", "resnet"]),
    parts=_convolutional,
    head=_widths,
    convolutions=st.integers(2, 3),
    shape=st.tuples(st.sampled_from([1, 3]), st.integers(12, 20), st.integers(12, 20)),
)
@settings(max_examples=40, deadline=None)
def test_the_arithmetic_counts_the_weights_and_layers_that_are_built(
    kind: str, parts: dict[str, Any], head: tuple[int, ...], convolutions: int, shape: tuple[int, int, int]
) -> None:
    filters, depths = parts["filters"], parts["blocks"]
    models: dict[str, r.Model] = {
        "mlp": r.MLP(hidden=head),
        "cnn": r.CNN(filters=filters, kernels=parts["kernels"], convolutions_per_block=convolutions, head=head),
        "resnet": r.ResNet(filters=filters, blocks=depths, convolutions_per_block=convolutions, head=head),
    }
    found: list[Size] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(size, "require_buildable", lambda measured, *others: found.append(measured))
        network = built(models[kind], shape)
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)]
    assert found[0].layers == len(layers)
    # the arithmetic leaves out the biases of convolutions and batch normalisation
    matrices = sum(layer.weight.numel() for layer in layers)
    biases = sum(layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear))
    assert found[0].parameters == matrices + biases


def test_every_training_checks_its_own_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(size, "require_buildable", lambda measured, batch_size, fields: seen.append(batch_size))
    record_of(MLP)
    assert seen == [MLP.batch_size]
