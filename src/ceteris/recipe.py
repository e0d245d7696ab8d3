"""The vocabulary that goes in: a recipe describes one training completely.

Every choice is a type of its own (``optimizer: SGD | Adam | ...``), a frozen keyword-only dataclass whose fields carry
their allowed ranges. The study file, the command line's overrides and the JSON schema come from these types; pydantic
checks values wherever a recipe is made. Nothing here behaves: ``ceteris.training.build`` turns a recipe into objects. What
may be said in two ways is trained, and has its digest, as :func:`written_out` says it.
"""

import re
from dataclasses import field, replace
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceteris.digests import ADDED
from ceteris.files import file_name

# Of a study, a model or a factor; it becomes part of the names of files.
Name = Annotated[str, Field(max_length=64), AfterValidator(file_name)]
Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]
WholeNumber = Annotated[int, Field(strict=True, ge=0, le=10**9)]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(
            f"a kernel has an odd size (1, 3, 5, ...) so that padding keeps the image's size, received {value}"
        )
    return value


OddSize = Annotated[int, Field(strict=True, ge=1, le=31), AfterValidator(_odd)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
OpenShare = Annotated[float, Field(strict=True, ge=0, lt=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]

_FROZEN = ConfigDict(extra="forbid", defer_build=True)  # checks are built when first needed: a worker needs none

# --- Activations


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ReLU:
    """max(0, x) (Nair & Hinton 2010)."""

    kind: Literal["relu"] = "relu"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class LeakyReLU:
    """x for x > 0, slope * x otherwise (Maas et al. 2013)."""

    kind: Literal["leaky-relu"] = "leaky-relu"
    slope: NotNegative = 0.01


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ELU:
    """x for x > 0, alpha * (exp(x) - 1) otherwise (Clevert et al. 2016)."""

    kind: Literal["elu"] = "elu"
    alpha: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class SELU:
    """Self-normalising ELU with fixed constants (Klambauer et al. 2017)."""

    kind: Literal["selu"] = "selu"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class GELU:
    """x times the normal distribution function of x (Hendrycks & Gimpel 2016)."""

    kind: Literal["gelu"] = "gelu"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class SiLU:
    """x times the logistic function of x, also called Swish (Ramachandran et al. 2017)."""

    kind: Literal["silu"] = "silu"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Mish:
    """x * tanh(softplus(x)) (Misra 2019)."""

    kind: Literal["mish"] = "mish"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class PReLU:
    """Leaky ReLU whose slope is learned (He et al. 2015)."""

    kind: Literal["prelu"] = "prelu"
    initial_slope: Number = 0.25


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Tanh:
    """Hyperbolic tangent."""

    kind: Literal["tanh"] = "tanh"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Sigmoid:
    """Logistic function 1 / (1 + exp(-x))."""

    kind: Literal["sigmoid"] = "sigmoid"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Softplus:
    """log(1 + exp(beta * x)) / beta, a smooth ReLU (Dugas et al. 2000)."""

    kind: Literal["softplus"] = "softplus"
    beta: Positive = 1.0


# --- Initial weights


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Initialisation:
    """How the weights of linear layers and convolutions are drawn; biases start at 0 except in the framework's default.

    - ``default``: what torch.nn does, weights and biases uniform in ±1/sqrt(fan in).
    - ``kaiming-normal``, ``kaiming-uniform``: the gain of the activation over the fan in (He et al. 2015).
    - ``xavier-normal``, ``xavier-uniform``: variance 2 / (fan in + fan out) (Glorot & Bengio 2010).
    - ``orthogonal``: orthogonal matrices, filters flattened (Saxe et al. 2014).
    - ``dirac``: filters that pass their input channel through where they fit; Kaiming normal for linear layers
      (Zagoruyko 2017).
    """

    kind: Literal[
        "default", "kaiming-normal", "kaiming-uniform", "xavier-normal", "xavier-uniform", "orthogonal", "dirac"
    ]


# --- Optimizers (defaults are the framework's)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class SGD:
    """Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013)."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive = 1e-3
    momentum: OpenShare = 0.0
    dampening: OpenShare = 0.0
    nesterov: Flag = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class _AdamMoments:
    """What Adam and its variants share."""

    kind: str
    lr: Positive = 1e-3
    beta1: OpenShare = 0.9
    beta2: OpenShare = 0.999
    epsilon: Positive = 1e-8


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Adam(_AdamMoments):
    """Adam (Kingma & Ba 2015)."""

    kind: Literal["adam"] = "adam"
    amsgrad: Flag = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class AdamW(_AdamMoments):
    """Adam with decoupled weight decay on every weight (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: NotNegative = 0.01
    amsgrad: Flag = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class NAdam(_AdamMoments):
    """Adam with Nesterov momentum (Dozat 2016)."""

    kind: Literal["nadam"] = "nadam"
    lr: Positive = 2e-3
    momentum_decay: NotNegative = 4e-3


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class RAdam(_AdamMoments):
    """Rectified Adam (Liu et al. 2020)."""

    kind: Literal["radam"] = "radam"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class RMSprop:
    """RMSprop (Tieleman & Hinton 2012)."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Positive = 1e-2
    alpha: OpenShare = 0.99
    epsilon: Positive = 1e-8
    momentum: OpenShare = 0.0
    centered: Flag = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Adagrad:
    """Adagrad (Duchi et al. 2011)."""

    kind: Literal["adagrad"] = "adagrad"
    lr: Positive = 1e-2
    lr_decay: NotNegative = 0.0
    epsilon: Positive = 1e-10


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Adadelta:
    """Adadelta (Zeiler 2012)."""

    kind: Literal["adadelta"] = "adadelta"
    lr: Positive = 1.0
    rho: OpenShare = 0.9
    epsilon: Positive = 1e-6


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Adamax(_AdamMoments):
    """Adam with the infinity norm (Kingma & Ba 2015)."""

    kind: Literal["adamax"] = "adamax"
    lr: Positive = 2e-3


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ASGD:
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

    kind: Literal["asgd"] = "asgd"
    lr: Positive = 1e-2
    decay: NotNegative = 1e-4
    power: Positive = 0.75
    averaging_start: NotNegative = 1e6


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Muon:
    """Momentum whose matrix updates are orthogonalised (Jordan et al. 2024); vectors, the first and the last layer by AdamW."""

    kind: Literal["muon"] = "muon"
    lr: Positive = 0.02
    momentum: OpenShare = 0.95
    nesterov: Flag = True
    orthogonalisation_steps: Annotated[int, Field(strict=True, ge=1, le=100)] = 5
    weight_decay: NotNegative = 0.0
    adamw_lr: Positive = 1e-3
    adamw_beta1: OpenShare = 0.9
    adamw_beta2: OpenShare = 0.999
    adamw_epsilon: Positive = 1e-8


# Where a search for the learning rate starts when a level names an optimizer without one. All others start at the framework's
# default, which was within a factor of 10 of the best rate for an MLP and a CNN (digits of scikit-learn, 120 steps, one run
# per rate); those of these two are 100 and 30 times too small.
STARTING_RATES = {"sgd": 0.1, "asgd": 0.1}


# --- Learning-rate schedules. Lengths are shares of the whole training, so that a shorter training keeps its shape, or epochs.

_EPOCHS = re.compile(r"([1-9]\d{0,8}) epochs?")


def _length(value: Any) -> Any:
    if isinstance(value, str) and (named := _EPOCHS.fullmatch(value)):
        return f"{named[1]} epochs"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return value
    raise ValueError('a share of the training, from 0 to 1, or epochs as in "10 epochs" is needed')


def epochs_in(length: float | str) -> int | None:
    """Return the epochs of a length that names them, None for a share of the training."""
    return int(length.split()[0]) if isinstance(length, str) else None


Length = Annotated[
    float | str, BeforeValidator(_length), Field(description='share from 0 to 1, or epochs as in `"10 epochs"`')
]


def _in_epochs(value: Any) -> Any:
    """Let { kind = "step", epochs = 10 } stand for every = "10 epochs", and likewise of milestones."""
    tree = _named(value)
    if isinstance(tree, dict) and "epochs" in tree and tree.get("kind") in ("step", "multi-step"):
        name, epochs = ("every" if tree["kind"] == "step" else "milestones"), tree["epochs"]
        length = [f"{one} epochs" for one in epochs] if isinstance(epochs, list | tuple) else f"{epochs} epochs"
        return {name: length, **{key: part for key, part in tree.items() if key != "epochs"}}
    return tree


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Constant:
    """The learning rate of the optimizer, unchanged; with ``warmup`` it first rises linearly."""

    kind: Literal["none"] = "none"
    warmup: Length = 0.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Step:
    """Multiply by ``factor`` after every ``every`` share of the training, or so many epochs.

    ``{ kind = "step", epochs = 10 }`` is another way to say ``every = "10 epochs"``.
    """

    kind: Literal["step"] = "step"
    every: Length = 1 / 3
    factor: Positive = 0.1

    def __post_init__(self) -> None:
        if not self.every:
            raise ValueError("every: a length greater than 0 is needed; received 0")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class MultiStep:
    """Multiply by ``factor`` at each of the ``milestones``, given as shares of the training or as epochs.

    ``{ kind = "multi-step", epochs = [30, 60] }`` is another way to say ``milestones = ["30 epochs", "60 epochs"]``.
    """

    kind: Literal["multi-step"] = "multi-step"
    milestones: tuple[Length, ...] = (0.5, 0.75)
    factor: Positive = 0.1


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Exponential:
    """Fall exponentially until ``final`` times the learning rate is reached at the end."""

    kind: Literal["exponential"] = "exponential"
    final: Positive = 0.01


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Cosine:
    """Half a cosine from the full rate to ``final`` times it, after a linear ``warmup`` (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine"] = "cosine"
    warmup: Length = 0.0
    final: Share = 0.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CosineRestarts:
    """``cycles`` cosines with warm restarts, each ``growth`` times as long as the last (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine-restarts"] = "cosine-restarts"
    cycles: Count = 2
    growth: Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)] = 2.0
    warmup: Length = 0.0
    final: Share = 0.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class OneCycle:
    """Rise from 1/``start_divisor`` of the rate to the rate, then cosine to 1/``final_divisor`` of the start (Smith 2018)."""

    kind: Literal["one-cycle"] = "one-cycle"
    rise: Length = 0.3
    start_divisor: Positive = 25.0
    final_divisor: Positive = 1e4


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ReduceOnPlateau:
    """Multiply by ``factor`` when the loss of an epoch has not improved for more than ``patience`` epochs.

    ``minimum`` is the smallest multiplier, as a share of the full rate. ``watch`` "training" looks at the training loss,
    "validation" at the loss on images that are not fitted on: those of early stopping, or where there are none (in the
    exploration, whose held-out images must not steer a training) a share ``validation`` of those that would be fitted on.
    """

    kind: Literal["plateau"] = "plateau"
    factor: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.1
    patience: WholeNumber = 2
    threshold: NotNegative = 1e-2
    minimum: NotNegative = 0.0
    watch: Literal["training", "validation"] = field(default="training", metadata=ADDED)
    validation: Annotated[float, Field(strict=True, gt=0, lt=1)] = field(default=0.1, metadata=ADDED)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Linear:
    """Fall in a straight line to ``final`` times the rate, after a linear ``warmup``."""

    kind: Literal["linear"] = "linear"
    warmup: Length = 0.0
    final: Share = 0.0


# --- Losses


ClassWeights = Literal["none", "inverse", "sqrt", "effective"]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class _Weighted:
    """What losses share: the images of a class count ``class_weights``, made from how often it is among those fitted on.

    - ``inverse``: as 1 / count, so that every class counts the same in all ("balanced" in scikit-learn).
    - ``sqrt``: as 1 / sqrt(count).
    - ``effective``: as 1 / (1 - 0.999^count), the effective number of images (Cui et al. 2019).
    """

    kind: str
    class_weights: ClassWeights = field(default="none", metadata=ADDED)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CrossEntropy(_Weighted):
    """Cross-entropy, with label smoothing (Szegedy et al. 2016) when ``label_smoothing`` > 0."""

    kind: Literal["cross-entropy"] = "cross-entropy"
    label_smoothing: OpenShare = 0.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Focal(_Weighted):
    """Cross-entropy weighted by (1 - p)^gamma (Lin et al. 2017)."""

    kind: Literal["focal"] = "focal"
    gamma: NotNegative = 2.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class MeanSquaredError(_Weighted):
    """Squared distance between the softmax output and the one-hot label (Brier 1950)."""

    kind: Literal["mse"] = "mse"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CustomLoss:
    """The user's own function ``f(logits, targets) -> scalar`` by import path ``package.module:function``."""

    kind: Literal["custom"] = "custom"
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$")


# --- Penalties on weights (matrices and filters; biases and normalisation parameters are left alone)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Nothing:
    """This is left out."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class L1:
    """``strength`` times the sum of |w| added to the loss."""

    kind: Literal["l1"] = "l1"
    strength: NotNegative = 1e-5


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class L2:
    """``strength`` times the sum of w² added to the loss."""

    kind: Literal["l2"] = "l2"
    strength: NotNegative = 1e-4


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class DecoupledWeightDecay:
    """Weights shrink by learning rate times ``strength`` at every step, outside the gradient (Loshchilov & Hutter 2019)."""

    kind: Literal["weight-decay"] = "weight-decay"
    strength: NotNegative = 1e-2


# --- Gradient clipping


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ClipNorm:
    """Scale the whole gradient down to at most ``maximum`` in Euclidean norm (Pascanu et al. 2013)."""

    kind: Literal["norm"] = "norm"
    maximum: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ClipValue:
    """Limit each entry of the gradient to ±``maximum``."""

    kind: Literal["value"] = "value"
    maximum: Positive = 0.5


# --- Averaging of weights


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ExponentialMovingAverage:
    """Evaluate avg ← decay * avg + (1 - decay) * weights, updated after every step (Polyak & Juditsky 1992)."""

    kind: Literal["ema"] = "ema"
    decay: OpenShare = 0.99


# --- Augmentation: operations on batches of tensors, applied in the order in which they are listed


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Shift:
    """Move each image by up to ``fraction`` of its size in both directions."""

    kind: Literal["shift"] = "shift"
    fraction: Share = 0.1


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Rotate:
    """Turn each image by up to ±``degrees``."""

    kind: Literal["rotate"] = "rotate"
    degrees: Annotated[float, Field(strict=True, ge=0, le=180)] = 10.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Scale:
    """Zoom each image by a factor between 1 - ``fraction`` and 1 + ``fraction``."""

    kind: Literal["scale"] = "scale"
    fraction: OpenShare = 0.1


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Shear:
    """Slant each image by up to ±``degrees`` along its rows."""

    kind: Literal["shear"] = "shear"
    degrees: Annotated[float, Field(strict=True, ge=0, lt=90)] = 10.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Elastic:
    """Smooth random displacements of up to about ``pixels``, smoothed over ``smoothness`` pixels (Simard et al. 2003)."""

    kind: Literal["elastic"] = "elastic"
    pixels: NotNegative = 1.0
    smoothness: Positive = 4.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Flip:
    """Mirror each image with the given ``probability``."""

    kind: Literal["flip"] = "flip"
    axis: Literal["horizontal", "vertical"] = "horizontal"
    probability: Share = 0.5


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CropWithPadding:
    """Pad by ``padding`` pixels on every side and crop back to the size at a random place (He et al. 2016)."""

    kind: Literal["crop"] = "crop"
    padding: Annotated[int, Field(strict=True, ge=0, le=1024)] = 4


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Cutout:
    """Blank a square of ``fraction`` of the image's shorter side at a random place (DeVries & Taylor 2017)."""

    kind: Literal["cutout"] = "cutout"
    fraction: Share = 0.3


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Noise:
    """Add normal noise with ``deviation`` in units of the standardised image."""

    kind: Literal["noise"] = "noise"
    deviation: NotNegative = 0.1


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class BrightnessContrast:
    """Shift by up to ±``brightness`` and stretch by up to ±``contrast`` around the image's mean."""

    kind: Literal["brightness-contrast"] = "brightness-contrast"
    brightness: NotNegative = 0.2
    contrast: OpenShare = 0.2


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Mixup:
    """Mix each image and its label with another's, weights from Beta(alpha, alpha) (Zhang et al. 2018)."""

    kind: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CutMix:
    """Paste a rectangle of another image and mix the labels by area (Yun et al. 2019)."""

    kind: Literal["cutmix"] = "cutmix"
    alpha: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class AdversarialNoise:
    """Move a ``share`` of each batch by ``epsilon`` along the sign of the loss gradient (FGSM, Goodfellow et al. 2015)."""

    kind: Literal["adversarial"] = "adversarial"
    epsilon: NotNegative = 0.1
    share: Share = 0.5


# --- Every choice as one type; in a study file the name alone ("adam") stands for the choice with its defaults


def _named(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


NAMED, BY_KIND = BeforeValidator(_named), Field(discriminator="kind")
_Union = TypeVar("_Union")
_Choice = Annotated[_Union, BY_KIND, NAMED]

Activation = _Choice[ReLU | LeakyReLU | ELU | SELU | GELU | SiLU | Mish | PReLU | Tanh | Sigmoid | Softplus]
InitialWeights = Annotated[Initialisation, NAMED]
Optimizer = _Choice[SGD | Adam | AdamW | NAdam | RAdam | RMSprop | Adagrad | Adadelta | Adamax | ASGD | Muon]
Schedule = Annotated[
    Constant | Step | MultiStep | Exponential | Cosine | CosineRestarts | OneCycle | ReduceOnPlateau | Linear,
    BY_KIND,
    BeforeValidator(_in_epochs),
]
Loss = _Choice[CrossEntropy | Focal | MeanSquaredError | CustomLoss]
Penalty = _Choice[Nothing | L1 | L2 | DecoupledWeightDecay]
Clipping = _Choice[Nothing | ClipNorm | ClipValue]
Averaging = _Choice[Nothing | ExponentialMovingAverage]
Augmentation = _Choice[
    Shift | Rotate | Scale | Shear | Elastic | Flip | CropWithPadding | Cutout | Noise | BrightnessContrast
    | Mixup | CutMix | AdversarialNoise
]  # fmt: skip


# --- Models, described by plain values


Normalisation = Literal["none", "batch", "layer", "group"]
ImageSide = Annotated[int, Field(strict=True, ge=1, le=4096)]
_Built = TypeVar("_Built", "MLP", "CNN", "ResNet")


def _alone(value: Any) -> Any:
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


ONE_FOR_ALL = BeforeValidator(_alone)  # a number alone stands for a list of one, which counts for every place


def _fits(name: str, values: tuple[Any, ...], other: str, others: tuple[int, ...]) -> None:
    if not others or len(values) not in (1, len(others)):
        raise ValueError(
            f"{name} needs one entry for all, or as many as {other}, of which there must be one at least: received "
            f"{len(values)} {name} {list(values)} and {len(others)} {other} {list(others)}"
        )


def _for_all(values: tuple[int, ...], places: tuple[int, ...]) -> tuple[int, ...]:
    return values * len(places) if len(values) == 1 else values


def _canonical(model: "_Built", **changes: Any) -> "_Built":
    """Return a model with changes and with the one spelling of its normalisation."""
    if model.normalisation is not None:
        own = model.normalisation if model.normalisation in ("layer", "group") else None
        changes |= {"batch_norm": model.normalisation == "batch", "normalisation": own}
    new = {name: value for name, value in changes.items() if getattr(model, name) != value}
    return replace(model, **new) if new else model


def _shares(value: Any) -> Any:
    shares = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share < 1 for share in shares):
        return value
    raise ValueError("a number ≥ 0 and less than 1 is needed, or a list of them, one for each layer")


# Of all layers, or one for each: of an MLP's hidden layers, of the linear layers of a head.
Dropout = Annotated[
    float | tuple[float, ...],
    BeforeValidator(_shares),
    Field(description="number, ≥ 0, < 1, or a list of them, one per layer"),
]


def _one_per_layer(dropout: float | tuple[float, ...], layers: int, what: str) -> None:
    if isinstance(dropout, tuple) and len(dropout) != layers:
        raise ValueError(f"dropout needs one number, or {layers}: one for {what}; received {list(dropout)}")


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class MLP:
    """A fully connected network; ``hidden`` gives the width of every hidden layer.

    ``width`` and ``depth`` say the same apart: ``depth`` hidden layers of ``width`` units. One that is given goes before what
    ``hidden`` says of it, whose layers must then be equally wide. ``dropout`` acts after every hidden layer; a list has a
    number for each.

    ``normalisation`` "layer" (Ba et al. 2016) or "group" (up to 8 groups; Wu & He 2018) take the place of batch normalisation;
    given at all, it goes before ``batch_norm``. ``image_size`` brings the shorter side of the images to so many pixels first.
    Both are the same in all models.
    """

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Count, ...] = (128, 128, 128)
    activation: Activation = ReLU()
    batch_norm: Flag = False
    dropout: Dropout = 0.0
    initialisation: InitialWeights = Initialisation(kind="default")
    width: Count | None = field(default=None, metadata=ADDED)
    depth: Count | None = field(default=None, metadata=ADDED)
    normalisation: Normalisation | None = field(default=None, metadata=ADDED)
    image_size: ImageSide | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        if (self.width or self.depth) and len(set(self.hidden)) > 1:
            raise ValueError(
                f"width and depth are those of equally wide layers, hidden says {list(self.hidden)}: "
                "leave hidden out, or width and depth"
            )
        if self.depth and not (self.width or self.hidden):
            raise ValueError(f"depth {self.depth} needs a width: give width, or hidden layers")
        layers = self.depth or len(self.hidden)
        _one_per_layer(self.dropout, layers, f"each of {layers} hidden layers")

    def written_out(self) -> "MLP":
        """Return the same network by ``hidden`` alone."""
        if not (self.width or self.depth):
            return _canonical(self)
        hidden = (self.width or self.hidden[0],) * (self.depth or len(self.hidden))
        return _canonical(self, hidden=hidden, width=None, depth=None)


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CNN:
    """Blocks of convolutions (stride 1, zero padding that keeps the size), pooling between them, then a connected head.

    ``filters`` and ``kernels`` have one entry per block; one kernel alone is that of all blocks. ``pool_after`` lists the
    blocks (from 1) that are followed by pooling; without it every block is, as long as the image has at least 2 pixels on
    each side. ``order`` says whether the activation comes before or after the pooling. Dropout acts before each linear layer
    of the head, the last one included; a list has a number for each.

    ``residual`` 1, 2 or 3 leads a shortcut around every so many convolutions with their activations, counted from the image
    on; what is left over at the end gets one of its own. It is added to the last convolution that it leads around, before
    the activation and pooling that follow (He et al. 2016), and passes the poolings on its way. Where the channels change,
    ``shortcut`` "padding" adds channels of 0, so that the parameters are exactly those without shortcuts; "projection" is a
    1x1 convolution. All other weights start as they do without shortcuts.
    """

    kind: Literal["cnn"] = "cnn"
    filters: tuple[Count, ...] = (32, 64)
    kernels: Annotated[tuple[OddSize, ...], ONE_FOR_ALL] = (3, 3)
    convolutions_per_block: Count = 1
    pooling: Literal["max", "average", "none"] = "max"
    pool_after: tuple[Count, ...] | None = None
    order: Literal["activation-first", "pooling-first"] = "activation-first"
    global_average_pooling: Flag = False
    head: tuple[Count, ...] = (128,)
    activation: Activation = ReLU()
    batch_norm: Flag = False
    dropout: Dropout = 0.0
    initialisation: InitialWeights = Initialisation(kind="default")
    residual: Annotated[int, Field(strict=True, ge=0, le=3)] = field(default=0, metadata=ADDED)
    shortcut: Literal["padding", "projection"] = field(default="padding", metadata=ADDED)
    normalisation: Normalisation | None = field(default=None, metadata=ADDED)
    image_size: ImageSide | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        _fits("kernels", self.kernels, "filters", self.filters)
        if self.pool_after and max(self.pool_after) > len(self.filters):
            raise ValueError(f"pool_after names blocks from 1 to {len(self.filters)}, received {list(self.pool_after)}")
        _one_per_layer(self.dropout, len(self.head) + 1, "each linear layer")

    def written_out(self) -> "CNN":
        """Return the same network with one kernel for each block."""
        return _canonical(self, kernels=_for_all(self.kernels, self.filters))


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ResNet:
    """Stages of residual blocks (He et al. 2016); every stage after the first halves the image.

    ``blocks`` and ``filters`` have one entry per stage; one number of blocks alone is that of all stages. With ``residual``
    off the same network is built without its shortcuts; with ``shortcut`` "padding" (subsample and fill with zero channels)
    it has exactly the same parameters. ``block`` "pre-activation" puts normalisation and activation before each convolution
    (He et al. 2016b). ``dropout`` is that of a CNN.
    """

    kind: Literal["resnet"] = "resnet"
    blocks: Annotated[tuple[Count, ...], ONE_FOR_ALL] = (2, 2, 2)
    filters: tuple[Count, ...] = (64, 128, 256)
    kernel: OddSize = 3
    block: Literal["basic", "pre-activation"] = "basic"
    convolutions_per_block: Annotated[int, Field(strict=True, ge=2, le=3)] = 2
    residual: Flag = True
    shortcut: Literal["padding", "projection"] = "padding"
    stem_stride: Annotated[int, Field(strict=True, ge=1, le=4)] = 1
    head: tuple[Count, ...] = ()
    activation: Activation = ReLU()
    batch_norm: Flag = True
    dropout: Dropout = 0.0
    initialisation: InitialWeights = Initialisation(kind="kaiming-normal")
    normalisation: Normalisation | None = field(default=None, metadata=ADDED)
    image_size: ImageSide | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        _fits("blocks", self.blocks, "filters", self.filters)
        _one_per_layer(self.dropout, len(self.head) + 1, "each linear layer")

    def written_out(self) -> "ResNet":
        """Return the same network with a number of blocks for each stage."""
        return _canonical(self, blocks=_for_all(self.blocks, self.filters))


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class CustomModel:
    """The user's own ``torch.nn.Module`` by import path; called with ``input_shape``, ``classes`` and ``arguments``."""

    kind: Literal["custom"] = "custom"
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    arguments: dict[str, Any] = Field(default_factory=dict)

    def written_out(self) -> "CustomModel":
        """Return the model itself."""
        return self


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Estimator:
    """A class with scikit-learn's ``fit`` and ``predict_proba`` by import path, made with ``arguments``.

    It sees every image as a row of standardised pixels and is fitted once, or with ``by_epochs`` by one ``partial_fit`` per
    epoch of the recipe; the recipe's other keys (optimizer, schedule, augmentation and so on) do not act on it. The seed goes
    into its argument ``random_state``, where it takes one. Some classes of scikit-learn are allowed unasked.
    """

    kind: Literal["estimator"] = "estimator"
    path: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    arguments: dict[str, Any] = Field(default_factory=dict)
    by_epochs: Flag = False

    def written_out(self) -> "Estimator":
        """Return the model itself."""
        return self


MODEL_PRESETS: dict[str, dict[str, Any]] = {
    # Krizhevsky et al. 2012, scaled to images of 28 to 64 pixels: five convolutions, three poolings, two wide layers.
    "alexnet": {
        "kind": "cnn",
        "filters": (64, 192, 384, 256, 256),
        "kernels": (5, 5, 3, 3, 3),
        "pool_after": (1, 2, 5),
        "head": (1024, 1024),
        "dropout": 0.5,
    },
    # LeCun et al. 1998, with padding that keeps the size and linear output: two convolutions, two poolings, two linear layers.
    "lenet-5": {
        "kind": "cnn",
        "filters": (6, 16),
        "kernels": (5, 5),
        "pooling": "average",
        "head": (120, 84),
        "activation": "tanh",
    },
    # Simonyan & Zisserman 2015, configuration A, for images of 16 pixels and more: eight convolutions, four poolings.
    "vgg-a": {
        "kind": "cnn",
        "filters": (64, 128, 256, 256, 512, 512, 512, 512),
        "kernels": (3,) * 8,
        "pool_after": (1, 2, 4, 6),
        "head": (512, 512),
        "dropout": 0.5,
        "initialisation": "kaiming-normal",
    },
    # Three small convolutions, two poolings, one linear layer.
    "small-cnn": {"kind": "cnn", "filters": (8, 16, 32), "kernels": (3, 3, 3), "pool_after": (1, 2), "head": ()},
}


def _model_named(value: Any) -> Any:
    tree = _named(value)
    if isinstance(tree, dict) and isinstance(tree.get("kind"), str) and tree["kind"] in MODEL_PRESETS:
        return MODEL_PRESETS[tree["kind"]] | {key: part for key, part in tree.items() if key != "kind"}
    return tree


Model = Annotated[MLP | CNN | ResNet | CustomModel | Estimator, BY_KIND, BeforeValidator(_model_named)]


Sampling = Literal["shuffled", "balanced"]
LastBatch = Literal["drop", "keep"]
Standardisation = Literal["per-channel", "0-1", "none"]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Recipe:
    """One complete description of a training: everything that may differ between two trainings.

    ``sampling`` says which images an epoch is made of: all once, or as many of every class, the rare ones several times.
    ``last_batch`` says what becomes of the images at the end of an epoch that are too few for a mini-batch: "drop" leaves
    them out (another order each epoch, so others are left out), "keep" makes a step of them if there are at least two.
    ``images`` > 0 fits on a stratified sample of so many of the images that it would fit on, a smaller one being part of a
    larger one: as a factor, a learning curve. ``standardisation`` brings every channel to mean 0 and deviation 1 over the
    images that are fitted on, to 0..1, or leaves the bytes 0..255 as they are.
    """

    model: Model
    optimizer: Optimizer = SGD(lr=0.1)
    schedule: Schedule = Constant()
    loss: Loss = CrossEntropy()
    penalty: Penalty = Nothing()
    augmentation: tuple[Augmentation, ...] = ()
    clipping: Clipping = Nothing()
    averaging: Averaging = Nothing()
    epochs: Count = 10
    batch_size: Count = 128
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    sampling: Sampling = field(default="shuffled", metadata=ADDED)
    last_batch: LastBatch = field(default="drop", metadata=ADDED)
    images: WholeNumber = field(default=0, metadata=ADDED)
    standardisation: Standardisation = field(default="per-channel", metadata=ADDED)


def written_out(recipe: Recipe) -> Recipe:
    """Return the same training without shorthands: what is trained, stored and shown."""
    model = recipe.model.written_out()
    return recipe if model is recipe.model else replace(recipe, model=model)


# The types of every choice by its place in a recipe, in the order in which they are listed
CHOICES: dict[str, tuple[type[Any], ...]] = {
    place: get_args(get_args(union)[0])
    for place, union in {
        "model": Model,
        "activation": Activation,
        "optimizer": Optimizer,
        "schedule": Schedule,
        "loss": Loss,
        "penalty": Penalty,
        "augmentation": Augmentation,
        "clipping": Clipping,
        "averaging": Averaging,
    }.items()
}
INITIALISATIONS = get_args(Initialisation.__annotations__["kind"])
