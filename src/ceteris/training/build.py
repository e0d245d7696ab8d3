"""From a recipe to objects: the only place where a recipe is read.

Every choice is matched exhaustively, so that a new type in ``ceteris.recipe`` is an error of the type checker here until
it is built.
"""

import inspect
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple, assert_never

import numpy as np
import torch
from torch import Tensor, nn

from ceteris import recipe
from ceteris.data import ImageSet, standardisation
from ceteris.errors import ConfigError
from ceteris.findings import ModelSummary
from ceteris.models import size
from ceteris.models.cnn import CNN
from ceteris.models.estimator import EstimatorNetwork
from ceteris.models.layers import Resize
from ceteris.models.mlp import MLP
from ceteris.models.resnet import ResNet, shortcut_modules
from ceteris.models.summary import summarise
from ceteris.records import ByteArray, FloatArray, IntArray
from ceteris.techniques import (
    augmentation,
    averaging,
    geometric,
    initialisation,
    losses,
    mixing,
    optimizers,
    pixels,
    regularisation,
    schedules,
)
from ceteris.training.batches import PassOrder, balanced_order, shuffled_order
from ceteris.user_code import NO_IMPORTS, ImportPolicy

Shape = tuple[int, int, int]  # channels, height, width
Activation = Callable[[], nn.Module]  # makes one for each place
Schedule = Callable[[float, Sequence[float]], float]  # (progress in [0, 1), losses of the epochs) -> multiplier
Loss = Callable[[Tensor, Tensor], Tensor]  # (logits, labels or class shares) -> scalar


# ---------------------------------------------------------------------------------------------------------------------
# Models


def build_activation(choice: recipe.Activation) -> Activation:
    """Return a function that makes the activation's module, for models that need several."""
    match choice:
        case recipe.ReLU():
            return nn.ReLU
        case recipe.LeakyReLU(slope=slope):
            return partial(nn.LeakyReLU, slope)
        case recipe.ELU(alpha=alpha):
            return partial(nn.ELU, alpha)
        case recipe.SELU():
            return nn.SELU
        case recipe.GELU():
            return nn.GELU
        case recipe.SiLU():
            return nn.SiLU
        case recipe.Mish():
            return nn.Mish
        case recipe.PReLU(initial_slope=slope):
            return partial(nn.PReLU, init=slope)
        case recipe.Tanh():
            return nn.Tanh
        case recipe.Sigmoid():
            return nn.Sigmoid
        case recipe.Softplus(beta=beta):
            return partial(nn.Softplus, beta)
        case _:
            assert_never(choice)


def build_model(
    model: recipe.Model,
    *,
    input_shape: Shape,
    classes: int,
    generator: torch.Generator,
    batch_size: int = 1,
    most_parameters: int = size.LARGEST_PARAMETERS,
    imports: ImportPolicy = NO_IMPORTS,
) -> nn.Module:
    """Return the model on the CPU with its initial weights, in training mode.

    Args:
        model: its description.
        input_shape: channels, height and width of an image.
        classes: number of logits.
        generator: the stream of the initial weights; every layer draws from its own part of it.
        batch_size: images of a training step, which must fit into the memory.
        most_parameters: how many it may have where its weights are known.
        imports: whether a user's own model may be imported and run.

    Raises:
        ConfigError: when an own model may not or cannot be imported or made, the image is too small for the model, or the
            model too large for this machine.
    """
    model = model.written_out()
    if isinstance(model, recipe.CustomModel):
        return _custom_model(model, input_shape, classes, generator, imports)
    if isinstance(model, recipe.Estimator):
        return EstimatorNetwork(_estimator(model, generator, imports), classes)
    make, settings, found, fields_of_size = _network(model, _resized(input_shape, model.image_size), classes)
    size.require_buildable(found, batch_size, fields_of_size)
    if found.parameters > most_parameters:
        raise ConfigError(
            f"the model would have {found.parameters:,} parameters; there are weights for {most_parameters:,}."
        )
    with torch.device("meta"):  # memory and default weights would be made only to be overwritten
        network: nn.Module = make(**settings)
    if settings["input_shape"] != input_shape:
        resize = Resize(settings["input_shape"][1:])
        network = nn.Sequential(OrderedDict(resize=resize, **dict(network.named_children())))
    _allocate(network)
    initialisation.initialise_(
        network,
        method=model.initialisation.kind,
        gain=initialisation.gain_of(settings["activation"]()),
        generator=generator,
        apart=shortcut_modules(network) if isinstance(model, recipe.CNN) else (),
    )
    return network


def parameter_count_of(
    model: recipe.Model, input_shape: Shape, classes: int, *, imports: ImportPolicy = NO_IMPORTS
) -> int:
    """Return how many parameters a model has; one of known layers gets no memory for that."""
    model = model.written_out()
    if isinstance(model, recipe.CustomModel | recipe.Estimator):
        generator = torch.Generator().manual_seed(0)
        network = build_model(model, input_shape=input_shape, classes=classes, generator=generator, imports=imports)
    else:
        make, settings, *_ = _network(model, _resized(input_shape, model.image_size), classes)
        with torch.device("meta"):
            network = make(**settings)
    return sum(weight.numel() for weight in network.parameters())


def _network(
    model: recipe.MLP | recipe.CNN | recipe.ResNet, input_shape: Shape, classes: int
) -> tuple[type[nn.Module], dict[str, Any], size.Size, str]:
    """Return the class of a network, its arguments, how large it would be and which fields make it so large."""
    settings = _settings(model, "initialisation", "width", "depth", "image_size")
    settings |= {"activation": build_activation(model.activation), "input_shape": input_shape, "classes": classes}
    match model:
        case recipe.MLP():
            return MLP, settings, size.mlp_size(**settings), "hidden"
        case recipe.CNN():
            return CNN, settings, size.cnn_size(**settings), "filters, kernels or head"
        case recipe.ResNet():
            return ResNet, settings, size.resnet_size(**settings), "blocks, filters, kernel or head"
        case _:
            assert_never(model)


def _resized(shape: Shape, shorter: int | None) -> Shape:
    """Return a shape whose shorter side has so many pixels; the shape itself for None."""
    scale = 1.0 if shorter is None else shorter / min(shape[1:])
    return shape[0], round(scale * shape[1]), round(scale * shape[2])


def _allocate(network: nn.Module) -> None:
    """Give a network on the meta device memory on the CPU; ``to_empty`` would import the compiler's symbols for that."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(weight.shape, dtype=weight.dtype)))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _settings(choice: Any, *without: str) -> dict[str, Any]:
    """Return the fields of a choice by name, without its kind, for functions that call them the same."""
    names = (field.name for field in fields(choice))
    return {name: getattr(choice, name) for name in names if name not in ("kind", *without)}


def _custom_model(
    model: recipe.CustomModel, input_shape: Shape, classes: int, generator: torch.Generator, imports: ImportPolicy
) -> nn.Module:
    make = imports.resolve(model.path, "model")
    # Modules of torch.nn initialise themselves from the global generator and take no other one; it is lent a seed of
    # this training's stream and gets its own state back. An own model keeps the initial weights that it gives itself.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            network = make(input_shape=input_shape, classes=classes, **model.arguments)
        except TypeError as error:
            if error.__traceback__ and error.__traceback__.tb_next:
                raise  # from inside: it could be called
            raise ConfigError(
                f'model: "{model.path}" could not be called with input_shape, classes and {sorted(model.arguments)}: '
                f"{error}. Give it these parameters, or change the model's `arguments`."
            ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f'model: "{model.path}" must return a torch.nn.Module, received {type(network).__name__}.')
    return network


def _estimator(model: recipe.Estimator, generator: torch.Generator, imports: ImportPolicy) -> Any:
    make = imports.resolve(model.path, "model")
    seeded = "random_state" in inspect.signature(make).parameters and "random_state" not in model.arguments
    seed = {"random_state": int(torch.randint(2**31 - 1, (), generator=generator))} if seeded else {}
    try:
        estimator = make(**model.arguments, **seed)
    except TypeError as error:
        if error.__traceback__ and error.__traceback__.tb_next:
            raise  # from inside: it could be called
        raise ConfigError(
            f'model: "{model.path}" could not be called with {sorted(model.arguments)}: {error}. '
            "Change the estimator's `arguments`."
        ) from error
    needed = ("partial_fit" if model.by_epochs else "fit", "predict_proba")
    if lacking := [name for name in needed if not hasattr(estimator, name)]:
        by_epochs = " (by_epochs = true asks for it)" if lacking[0] == "partial_fit" else ""
        raise ConfigError(
            f'model: "{model.path}" has no {lacking[0]}{by_epochs}; an estimator needs {" and ".join(needed)}.'
        )
    return estimator


def summary_of(choice: recipe.Recipe, train: ImageSet, *, imports: ImportPolicy) -> ModelSummary:
    """Return the layers of a recipe's model for images shaped like those of a training set."""
    network = build_model(
        choice.model,
        input_shape=train.shape,
        classes=len(train.classes),
        generator=torch.Generator().manual_seed(0),
        batch_size=min(choice.batch_size, len(train)),
        imports=imports,
    )
    return summarise(network, train.shape)


def constants_of(network: nn.Module) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of the constants of a network's normalisations, which no recipe names."""
    found = dict[str, str]()
    for module in network.modules():
        for name in ("eps", "momentum"):
            if "Norm" in type(module).__name__ and (value := getattr(module, name, None)) is not None:
                found[f"{type(module).__name__} {name}"] = f"{value:g}"
    return tuple(found.items())


# ---------------------------------------------------------------------------------------------------------------------
# Steps of the training


def build_optimizer(choice: recipe.Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters; its implementation is the fastest that torch has for their device.

    Raises:
        ConfigError: for Nesterov's momentum without momentum or with dampening.
    """
    weights = list(model.parameters())
    device = weights[0].device.type
    on_cpu = device == "cpu"
    fused = {"fused": True} if device in ("cpu", "cuda") else {"foreach": True}
    match choice:
        case recipe.SGD(lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov):
            if nesterov and (momentum == 0 or dampening != 0):
                raise ConfigError(
                    "optimizer: nesterov needs momentum > 0 and dampening = 0, received "
                    f"momentum = {momentum} and dampening = {dampening}. Set momentum = 0.9, for example."
                )
            return torch.optim.SGD(weights, lr, momentum, dampening, nesterov=nesterov, **fused)
        case recipe.Adam(lr=lr, epsilon=epsilon, amsgrad=amsgrad):
            return torch.optim.Adam(weights, lr, (choice.beta1, choice.beta2), epsilon, amsgrad=amsgrad, **fused)
        case recipe.AdamW(lr=lr, epsilon=epsilon, weight_decay=decay, amsgrad=amsgrad):
            return torch.optim.AdamW(
                weights, lr, (choice.beta1, choice.beta2), epsilon, decay, amsgrad=amsgrad, **fused
            )
        case recipe.NAdam(lr=lr, epsilon=epsilon, momentum_decay=decay):
            return torch.optim.NAdam(
                weights, lr, (choice.beta1, choice.beta2), epsilon, momentum_decay=decay, foreach=True
            )
        case recipe.RAdam(lr=lr, epsilon=epsilon):
            return torch.optim.RAdam(weights, lr, (choice.beta1, choice.beta2), epsilon, foreach=True)
        case recipe.RMSprop(lr=lr, alpha=alpha, epsilon=epsilon, momentum=momentum, centered=centered):
            return torch.optim.RMSprop(weights, lr, alpha, epsilon, momentum=momentum, centered=centered, foreach=True)
        case recipe.Adagrad(lr=lr, lr_decay=decay, epsilon=epsilon):
            return torch.optim.Adagrad(weights, lr, decay, eps=epsilon, fused=on_cpu, foreach=not on_cpu)
        case recipe.Adadelta(lr=lr, rho=rho, epsilon=epsilon):
            return torch.optim.Adadelta(weights, lr, rho, epsilon, foreach=True)
        case recipe.Adamax(lr=lr, epsilon=epsilon):
            return torch.optim.Adamax(weights, lr, (choice.beta1, choice.beta2), epsilon, foreach=True)
        case recipe.ASGD(lr=lr, decay=decay, power=power, averaging_start=start):
            return torch.optim.ASGD(weights, lr, lambd=decay, alpha=power, t0=start, foreach=not on_cpu)
        case recipe.Muon():
            layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
            matrices = [layer.weight for layer in layers[1:-1]]
            chosen = set(map(id, matrices))
            others = [weight for weight in weights if id(weight) not in chosen]
            return optimizers.Muon(matrices, others, **_settings(choice))
        case _:
            assert_never(choice)


def build_schedule(choice: recipe.Schedule, epochs: int) -> Schedule:
    """Return the multiplier of the learning rate as a function of progress in [0, 1) and the losses of the epochs so far.

    Args:
        choice: its description.
        epochs: of the whole training, by which lengths in epochs become shares of it.
    """
    curve: Callable[..., float]

    def share(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(share, value))
        named = recipe.epochs_in(value) if isinstance(value, str) else None
        return named / epochs if named else value

    settings = {name: share(value) for name, value in _settings(choice, "watch", "validation").items()}
    match choice:
        case recipe.ReduceOnPlateau():
            return lambda progress, epoch_losses: schedules.plateau_multiplier(epoch_losses, **settings)
        case recipe.Constant():
            curve = schedules.constant
        case recipe.Step():
            curve = schedules.step
        case recipe.MultiStep():
            curve = schedules.multi_step
        case recipe.Exponential():
            curve = schedules.exponential
        case recipe.Cosine():
            curve = schedules.cosine
        case recipe.CosineRestarts():
            curve = schedules.cosine_restarts
        case recipe.OneCycle():
            curve = schedules.one_cycle
        case recipe.Linear():
            curve = schedules.linear
        case _:
            assert_never(choice)
    return lambda progress, epoch_losses: curve(progress, **settings)


def watched_share(choice: recipe.Schedule) -> float:
    """Return the share of the images to be cut out for a schedule that looks at a validation loss, 0 for all others."""
    return choice.validation if isinstance(choice, recipe.ReduceOnPlateau) and choice.watch == "validation" else 0.0


def build_loss(
    choice: recipe.Loss,
    class_counts: IntArray | None = None,
    device: str = "cpu",
    imports: ImportPolicy = NO_IMPORTS,
) -> Loss:
    """Return the loss of logits (n, classes) and targets, labels (n,) or, after mixing, class shares (n, classes).

    Args:
        choice: its description.
        class_counts: images of every class that are fitted on, (classes,), of which the weights of classes are made; None for
            a loss that is only tried out: all classes count the same.
        device: where the logits lie.
        imports: whether a user's own loss may be imported.

    Raises:
        ConfigError: when an own loss may not or cannot be imported.
    """
    loss: Callable[..., Tensor]
    match choice:
        case recipe.CrossEntropy(label_smoothing=share):
            loss = partial(losses.cross_entropy, label_smoothing=share)
        case recipe.Focal(gamma=gamma):
            loss = partial(losses.focal, gamma=gamma)
        case recipe.MeanSquaredError():
            loss = losses.mean_squared_error
        case recipe.CustomLoss(path=path):
            return imports.resolve(path, "loss")
        case _:
            assert_never(choice)
    if choice.class_weights == "none" or class_counts is None:
        return loss
    weights = torch.from_numpy(losses.weights_of_classes(class_counts, choice.class_weights))
    return partial(loss, class_weights=weights.float().to(device))


def build_standardisation(
    choice: recipe.Standardisation, images: ByteArray, fitted: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return what is subtracted and what is divided by, per channel (c,) each in 0..255, given the images fitted on."""
    nothing, channels = np.zeros(images.shape[1]), np.ones(images.shape[1])
    match choice:
        case "per-channel":
            return standardisation(images, fitted)
        case "0-1":
            return nothing, 255 * channels
        case "none":
            return nothing, channels
        case _:
            assert_never(choice)


def build_sampling(choice: recipe.Sampling) -> PassOrder:
    """Return the function that draws the order of a pass over images of given labels."""
    match choice:
        case "shuffled":
            return shuffled_order
        case "balanced":
            return balanced_order
        case _:
            assert_never(choice)


def penalised_weights(model: nn.Module) -> list[nn.Parameter]:
    """Return the matrices and filters of a model: what penalties and weight decay act on."""
    return [parameter for parameter in model.parameters() if parameter.ndim >= 2]


def build_penalty(choice: recipe.Penalty, model: nn.Module) -> Callable[[], Tensor] | None:
    """Return the penalty to be added to the loss; None for no penalty and for decoupled decay, see :func:`decay_of`."""
    weights = penalised_weights(model)
    match choice:
        case recipe.L1(strength=strength):
            return partial(regularisation.l1, weights, strength)
        case recipe.L2(strength=strength):
            return partial(regularisation.l2, weights, strength)
        case recipe.Nothing() | recipe.DecoupledWeightDecay():
            return None
        case _:
            assert_never(choice)


def decay_of(choice: recipe.Penalty) -> float:
    """Return the strength of decoupled weight decay: a step multiplies the weights by 1 - learning rate * strength."""
    return choice.strength if isinstance(choice, recipe.DecoupledWeightDecay) else 0.0


def build_clipping(choice: recipe.Clipping, model: nn.Module) -> Callable[[], Tensor] | None:
    """Return the function that clips the model's gradients in place and returns their norm before; None for none."""

    def gradients() -> list[Tensor]:
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    match choice:
        case recipe.Nothing():
            return None
        case recipe.ClipNorm(maximum=maximum):
            return lambda: regularisation.clip_by_norm_(gradients(), maximum)
        case recipe.ClipValue(maximum=maximum):
            return lambda: regularisation.clip_by_value_(gradients(), maximum)
        case _:
            assert_never(choice)


def build_averaging(choice: recipe.Averaging, model: nn.Module) -> averaging.ExponentialMovingAverage | None:
    """Return the average that follows the model, which must be on its device already; None for none."""
    match choice:
        case recipe.Nothing():
            return None
        case recipe.ExponentialMovingAverage(decay=decay):
            return averaging.ExponentialMovingAverage(model, decay=decay)
        case _:
            assert_never(choice)


# ---------------------------------------------------------------------------------------------------------------------
# Augmentation


def build_augmentation(operations: Sequence[recipe.Augmentation], *, fill: Tensor) -> augmentation.Augment | None:
    """Return the chain of all operations, None for none.

    Args:
        operations: in the order in which they act.
        fill: what a black pixel is after standardisation, per channel (c,): the background that comes in from outside.
    """
    return augmentation.chain([_operation(choice, fill) for choice in operations], fill=fill) if operations else None


def _operation(choice: recipe.Augmentation, fill: Tensor) -> augmentation.Motion | augmentation.Operation:
    settings = _settings(choice)

    def motion(draw: augmentation.Draw, alone: augmentation.Change | None = None) -> augmentation.Motion:
        return augmentation.Motion(
            name=choice.kind, draw=partial(draw, **settings), alone=alone and partial(alone, **settings)
        )

    match choice:
        case recipe.Shift():
            return motion(geometric.draw_shift, partial(geometric.shift, fill=fill))
        case recipe.CropWithPadding():
            return motion(geometric.draw_crop, partial(geometric.crop, fill=fill))
        case recipe.Flip():
            return motion(geometric.draw_flip, geometric.flip)
        case recipe.Rotate():
            return motion(geometric.draw_rotation)
        case recipe.Scale():
            return motion(geometric.draw_scale)
        case recipe.Shear():
            return motion(geometric.draw_shear)
        case recipe.Elastic():
            return motion(geometric.draw_elastic)
        case recipe.Cutout():
            return augmentation.on_images(choice.kind, partial(pixels.cutout, fill=fill, **settings))
        case recipe.Noise():
            return augmentation.on_images(choice.kind, partial(pixels.add_noise, **settings))
        case recipe.BrightnessContrast():
            return augmentation.on_images(choice.kind, partial(pixels.brightness_contrast, **settings))
        case recipe.Mixup():
            return augmentation.on_images_and_targets(choice.kind, partial(mixing.mixup, **settings))
        case recipe.CutMix():
            return augmentation.on_images_and_targets(choice.kind, partial(mixing.cutmix, **settings))
        case recipe.AdversarialNoise():
            return augmentation.against_loss(choice.kind, partial(pixels.add_adversarial_noise, **settings))
        case _:
            assert_never(choice)


# ---------------------------------------------------------------------------------------------------------------------
# Populations: what of a recipe can be done for many members at once


def shape_of(choice: recipe.Recipe) -> str | None:
    """Return what recipes of one population have in common; None for a recipe with code of the user's own.

    They may differ in numbers. The kind of the optimizer is part of it because its members' time is told in equal shares.
    """
    if isinstance(choice.model, recipe.CustomModel | recipe.Estimator) or isinstance(choice.loss, recipe.CustomLoss):
        return None
    model = replace(choice.model.written_out(), dropout=0.0, initialisation=recipe.Initialisation(kind="default"))
    kinds = (choice.optimizer.kind, choice.loss.kind)
    return repr((model, *kinds, choice.averaging, choice.epochs, choice.batch_size, choice.last_batch))


class Strengths(NamedTuple):
    """How strongly penalties and clipping act on one member: 0 and infinity where they do not."""

    l1: float
    l2: float
    largest_norm: float
    largest_value: float


def strengths_of(choice: recipe.Recipe) -> Strengths:
    """Return the strengths of a recipe's penalty and clipping."""
    penalty, clipping = choice.penalty, choice.clipping
    return Strengths(
        l1=penalty.strength if isinstance(penalty, recipe.L1) else 0.0,
        l2=penalty.strength if isinstance(penalty, recipe.L2) else 0.0,
        largest_norm=clipping.maximum if isinstance(clipping, recipe.ClipNorm) else math.inf,
        largest_value=clipping.maximum if isinstance(clipping, recipe.ClipValue) else math.inf,
    )


def smoothing_of(choice: recipe.Loss) -> float | None:
    """Return the label smoothing of a cross-entropy without weights of classes, None for every other loss."""
    if isinstance(choice, recipe.CrossEntropy) and choice.class_weights == "none":
        return choice.label_smoothing
    return None


def can_step_together(choices: Sequence[recipe.Recipe]) -> bool:
    """Say whether one optimizer on stacked weights does what every recipe's own optimizer would do.

    That asks for equal settings, updates of every entry by itself, and a schedule that no member's losses steer.
    """
    first = choices[0]
    equal = all((one.optimizer, one.schedule) == (first.optimizer, first.schedule) for one in choices)
    return (
        equal
        and not isinstance(first.optimizer, recipe.Muon)
        and not isinstance(first.schedule, recipe.ReduceOnPlateau)
    )


def passes_per_image(choice: recipe.Recipe) -> float:
    """Return how many forward passes an image of a training costs.

    Backward is about twice a forward pass: once for the inputs, once for the weights. An attacked image goes forward and back
    to the inputs once more for every attack.
    """
    attacks = [attack.share for attack in choice.augmentation if isinstance(attack, recipe.AdversarialNoise)]
    return 3 + 2 * sum(attacks)


def attacks_the_model(operations: Sequence[recipe.Augmentation]) -> bool:
    """Say whether what a model sees depends on its weights, so that no two models see the same images."""
    return any(isinstance(operation, recipe.AdversarialNoise) for operation in operations)
