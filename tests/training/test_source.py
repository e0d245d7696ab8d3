"""A recipe as source of plain torch: weight for weight the same network, whatever its kind and its options."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from ceteris import recipe
from ceteris.errors import ConfigError
from ceteris.models.dropout import set_dropout_generator
from ceteris.training.build import build_model, build_optimizer
from ceteris.training.source import class_name, code_of, module_source, optimizer_source

SHAPE = (2, 9, 8)
MODELS: dict[str, recipe.Model] = {
    "mlp": recipe.MLP(hidden=(7, 5), batch_norm=True, dropout=0.2, activation=recipe.LeakyReLU(slope=0.1)),
    "linear": recipe.MLP(hidden=()),
    "mlp-prelu": recipe.MLP(hidden=(7,), activation=recipe.PReLU(initial_slope=0.3)),
    "cnn": recipe.CNN(filters=(4, 6), kernels=(3, 5), head=(5,), dropout=0.1),
    "cnn-average": recipe.CNN(
        filters=(4,), kernels=(3,), convolutions_per_block=2, pooling="average", order="pooling-first",
        global_average_pooling=True, batch_norm=True, activation=recipe.ELU(alpha=0.5),
    ),
    "cnn-residual": recipe.CNN(filters=(4, 6, 6), kernels=(3, 3, 3), residual=2),
    "cnn-projection": recipe.CNN(filters=(6, 4), kernels=(3, 3), residual=1, shortcut="projection", batch_norm=True),
    "resnet": recipe.ResNet(blocks=(1, 2), filters=(4, 6)),
    "resnet-before": recipe.ResNet(
        blocks=(1, 1), filters=(4, 6), block="pre-activation", shortcut="projection", head=(5,), stem_stride=2,
        activation=recipe.Softplus(beta=2.0),
    ),
    "resnet-plain": recipe.ResNet(blocks=(1, 1), filters=(4, 6), residual=False, batch_norm=False),
}  # fmt: skip


def _built(model: recipe.Model) -> nn.Module:
    return build_model(model, input_shape=SHAPE, classes=3, generator=torch.Generator().manual_seed(1))


def _own(source: str, name: str) -> nn.Module:
    """Make the class that the source defines, as a notebook does."""
    known = {"torch": torch, "nn": nn, "OrderedDict": OrderedDict}
    exec(source, known)
    return known[name]()  # type: ignore[no-any-return, operator]


def _trained(network: nn.Module, images: Tensor) -> nn.Module:
    """Give running statistics other values than those they begin with."""
    set_dropout_generator(network, torch.Generator().manual_seed(3))
    network.train()(images)
    return network.eval()


@pytest.mark.parametrize("kind", MODELS)
def test_the_written_module_takes_the_weights_and_gives_the_same_answers(kind: str) -> None:
    images = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(2))
    network = _trained(_built(MODELS[kind]), images)
    source = module_source(network, name="Net", input_shape=SHAPE)
    own = _own(source, "Net")
    own.load_state_dict(network.state_dict())  # strict: names, shapes, none more and none less
    assert list(own.state_dict()) == list(network.state_dict())
    torch.testing.assert_close(own.eval()(images), network(images), rtol=1e-5, atol=1e-6)
    # In training mode too, where nothing is dropped: batch normalisation goes by the mini-batch.
    if not any(isinstance(module, nn.Dropout) for module in own.modules()):
        torch.testing.assert_close(own.train()(images), network.train()(images), rtol=1e-5, atol=1e-6)
    assert "  # " in source
    assert " -> 3" in source


def test_a_network_that_cannot_be_written_is_refused_in_words() -> None:
    class Own(nn.Identity):
        pass

    class OwnSequence(nn.Sequential):
        pass

    for network in (
        Own(),
        nn.Sequential(OrderedDict(first=Own())),
        nn.Sequential(OrderedDict(first=OwnSequence(Own()))),
    ):
        network.register_parameter("weight", nn.Parameter(torch.ones(1)))
        with pytest.raises(ConfigError, match=r"cannot be written as layers of torch\.nn"):
            module_source(network, name="Net", input_shape=SHAPE)
    custom = recipe.Recipe(model=recipe.CustomModel(path="my_models:Net"), optimizer=recipe.SGD(lr=0.1))
    assert "my_models:Net" in code_of("own", custom, {}, input_shape=SHAPE, classes=3, about="").reason


OPTIMIZERS = (
    recipe.SGD(lr=0.05, momentum=0.9, nesterov=True), recipe.Adam(lr=0.003, beta1=0.8), recipe.AdamW(), recipe.NAdam(),
    recipe.RAdam(), recipe.RMSprop(momentum=0.5), recipe.Adagrad(), recipe.Adadelta(), recipe.Adamax(), recipe.ASGD(),
)  # fmt: skip


@pytest.mark.parametrize("choice", OPTIMIZERS, ids=lambda choice: choice.kind)
def test_the_written_optimizer_has_the_same_settings(choice: recipe.Optimizer) -> None:
    network = _built(MODELS["linear"])
    made = build_optimizer(choice, network)
    own = eval(optimizer_source(made, "network.parameters()"), {"torch": torch, "network": network})
    assert type(own) is type(made)
    ways = {"foreach", "fused"}  # how it computes, not what
    assert {key: own.defaults[key] for key in made.defaults.keys() - ways} == {
        key: made.defaults[key] for key in made.defaults.keys() - ways
    }


def test_an_optimizer_that_is_none_of_torch_is_left_out() -> None:
    best = recipe.Recipe(model=MODELS["mlp"], optimizer=recipe.Muon())
    code = code_of("mlp", best, {"muon": best}, input_shape=SHAPE, classes=3, about="An MLP.")
    assert code.layers.splitlines()[1] == '    """An MLP."""'
    assert code.optimizer == ""
    assert code.options == ()


def test_names_of_models_become_names_of_classes() -> None:
    assert [class_name(name) for name in ("mlp", "small-cnn", "2_layers", "none")] == [
        "MlpNet", "SmallCnnNet", "LayersNet", "NoneNet",
    ]  # fmt: skip
