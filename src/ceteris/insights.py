"""The vocabulary of looking into final models: maps, doubts, robustness, confidence, layers, costs, training dynamics.

Plain values and arrays, so that they lie in the file of the findings. Accuracies and probabilities lie in 0..1.
"""

from dataclasses import dataclass
from typing import Literal

from ceteris.recipe import Name
from ceteris.records import ByteArray, Float32Array, FloatArray, IntArray, check_shapes

MapMethod = Literal["grad-cam", "grad-cam++", "integrated-gradients", "occlusion"]
Corruption = Literal["noise", "blur", "brightness", "contrast", "rotation", "shift", "occlusion", "fgsm", "pgd"]


@dataclass(frozen=True, kw_only=True)
class AttentionMaps:
    """One map for every (method, model, image, class): the same misclassified test images for all models.

    ``targets`` (models, n, 2) are the predicted and the true class, ``confidences`` what the model gives them. ``maps``
    (methods, models, n, 2, height, width) lie in -1..1, below 0 what speaks against the class; nan where a model has
    no such map. ``layers`` names the layer of Grad-CAM of every model, '' where it has none; ``left_out`` says why
    one is missing.
    """

    methods: tuple[MapMethod, ...]
    models: tuple[Name, ...]
    layers: tuple[str, ...]
    indices: IntArray  # (n,)
    images: ByteArray  # (n, channels, height, width)
    labels: IntArray  # (n,)
    targets: IntArray
    confidences: Float32Array
    maps: Float32Array
    left_out: tuple[tuple[Name, MapMethod, str], ...] = ()

    def __post_init__(self) -> None:
        check_shapes(
            self, indices="n", images="n channels height width", labels="n", targets="models n two",
            confidences="models n two", maps="methods models n two height width",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MapCheck:
    """Whether the maps of one model tell anything, over ``images`` test images.

    ``similarity`` (methods, layers + 1) is the rank correlation of a map with that of the intact model as the weights are
    drawn anew from the output down, ``layers`` in this order (Adebayo et al. 2018). ``deletion`` and ``insertion``
    (methods + 1, points) are the probability of the predicted class as the ``shares`` (points,) of the pixels that
    the map ranks highest are removed from the image or put into an empty one; the last row takes the pixels at random
    (Petsiuk et al. 2018).
    """

    model: Name
    methods: tuple[MapMethod, ...]
    images: int
    layers: tuple[str, ...]
    similarity: FloatArray
    shares: FloatArray
    deletion: FloatArray
    insertion: FloatArray

    def __post_init__(self) -> None:
        check_shapes(
            self, similarity="methods steps", shares="points", deletion="orders points", insertion="orders points"
        )


@dataclass(frozen=True, kw_only=True)
class Doubts:
    """Training images that were hard for models that had not been fitted on them, from stored out-of-fold predictions.

    ``examined`` images were predicted by ``models``, which together name the share ``accuracy`` right; ``candidates`` of them
    may be labelled wrongly (confident learning, Northcutt et al. 2021), and the first ``shown`` of the arrays are such, the
    surest first. The others are the hardest: those with the smallest probability of their label. ``suggested`` is the class
    that the models name instead, ``probabilities`` (n, 2) those of the label and of that class.
    """

    models: tuple[Name, ...]
    examined: int
    accuracy: float
    candidates: int
    shown: int
    indices: IntArray  # (n,)
    images: ByteArray  # (n, channels, height, width)
    labels: IntArray  # (n,)
    suggested: IntArray  # (n,)
    probabilities: FloatArray

    def __post_init__(self) -> None:
        check_shapes(
            self, indices="n", images="n channels height width", labels="n", suggested="n", probabilities="n two"
        )


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way of making test images harder; ``strength`` is in the unit of its kind, ``severity`` counts from 1."""

    kind: Corruption
    severity: int
    strength: float


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Which test images are named right under which condition, the untouched images first.

    ``right`` (models, conditions + 1, seeds, bytes) packs one bit for every one of the ``images``. All models see the same
    corrupted images; those of an attack are made for each training. ``examples`` shows one image under every
    condition (those of attacks for the first model).
    """

    models: tuple[Name, ...]
    conditions: tuple[Condition, ...]
    images: int
    right: ByteArray
    examples: ByteArray  # (conditions + 1, channels, height, width)


@dataclass(frozen=True, kw_only=True)
class ConfidenceFit:
    """What was fitted on the ``images`` validation images of one final training, before any test image was seen.

    Logits are divided by ``temperature`` (Guo et al. 2017). A class belongs to the set at a level of ``levels`` where its
    probability is at least 1 - ``quantiles`` (split conformal prediction, Vovk et al. 2005).
    """

    model: Name
    seed: int
    images: int
    temperature: float
    levels: FloatArray
    quantiles: FloatArray


@dataclass(frozen=True, kw_only=True)
class LayerSeparation:
    """How the layers of one model hold the classes apart, over ``images`` test images, in the order of execution.

    ``silhouette`` in -1..1 (Rousseeuw 1987), ``probe`` the accuracy of a linear classifier fitted on half of the images and
    judged on the others (Alain & Bengio 2016). ``silent`` of ``units`` never put out anything above 0 behind an activation;
    -1 where the layer is none.
    """

    model: Name
    images: int
    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    silhouette: FloatArray
    probe: FloatArray
    units: IntArray
    silent: IntArray


@dataclass(frozen=True, kw_only=True)
class LayerSimilarity:
    """Linear CKA of every layer with every other, of all models (Kornblith et al. 2019); ``owners`` names each one's model."""

    owners: tuple[Name, ...]
    layers: tuple[str, ...]
    similarity: FloatArray  # (layers, layers)


@dataclass(frozen=True, kw_only=True)
class InferenceCost:
    """What using a final model takes: images per second one at a time and 128 at a time, and bytes.

    ``disk_bytes`` are those of the file, ``memory_bytes`` those of weights and buffers, ``activation_bytes`` those of all
    layers' outputs for one image. ``training_flops`` count adversarial steps.
    """

    model: Name
    single_per_second: float
    batch_per_second: float
    disk_bytes: int
    memory_bytes: int
    activation_bytes: int
    training_flops: int


@dataclass(frozen=True, kw_only=True)
class GradientNorms:
    """The norm of the gradient of every convolution's weights, (draws, layers), after ``step`` steps.

    ``variances`` (draws, layers) are those of the convolutions' outputs.
    """

    step: int
    norms: FloatArray
    variances: FloatArray


@dataclass(frozen=True, kw_only=True)
class NetworkDynamics:
    """One network while it trains, and its loss around the weights that it reached.

    ``loss_low`` and ``loss_high`` (looks,) are the range of the loss along the gradient, ``gradient_change`` how far the
    gradient moves there, ``smoothness`` the largest of that per distance (Santurkar et al. 2018, figure 4), at the steps
    ``smoothness_steps``. ``autocorrelation`` (lags + 1,) is how alike input gradients are by distance (after Balduzzi
    et al. 2017). ``lesions`` is the accuracy without each block and ``swaps`` that with it and the next one swapped,
    nan where a shape changes (Veit et al. 2016); ``accuracy`` is that of the whole network on the same images.
    ``surface`` (points, points) is the loss in two filter-normalised directions at ``span`` (points,) (Li et al.
    2018).
    """

    label: str
    losses: FloatArray  # (steps,)
    layers: tuple[str, ...]
    stages: tuple[GradientNorms, ...]
    smoothness_steps: IntArray
    loss_low: FloatArray
    loss_high: FloatArray
    gradient_change: FloatArray
    smoothness: FloatArray
    autocorrelation: FloatArray
    accuracy: float
    blocks: tuple[str, ...]
    lesions: FloatArray
    swaps: FloatArray
    span: FloatArray
    surface: FloatArray

    def __post_init__(self) -> None:
        check_shapes(
            self, loss_low="at", loss_high="at", gradient_change="at", smoothness="at", smoothness_steps="at",
            lesions="blocks", swaps="blocks", span="points", surface="points points",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ArmCourse:
    """One kind of network at one depth, over the same blocks: error, and how it got there.

    ``accuracies``, ``train_accuracies``, ``seconds`` and ``steps_to_target`` have one entry per block; the last is
    nan where the target was not reached. ``stuck`` says which trainings ended no better than naming one class.
    """

    model: Name
    depth: int
    level: str
    accuracies: FloatArray
    train_accuracies: FloatArray
    seconds: FloatArray
    steps: int
    steps_to_target: FloatArray
    seconds_to_target: FloatArray
    stuck: IntArray  # 0 or 1


@dataclass(frozen=True, kw_only=True)
class DepthCourse:
    """Every kind of network at every depth; ``target`` is the training accuracy that counts as reached."""

    target: float
    chance: float
    arms: tuple[ArmCourse, ...]


@dataclass(frozen=True, kw_only=True)
class Insights:
    """Everything that was looked at in the final models; each part is there where it was asked for.

    ``groups`` are classes that cannot be told apart, by their places.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    attention: AttentionMaps | None = None
    checks: tuple[MapCheck, ...] = ()
    doubts: Doubts | None = None
    robustness: Robustness | None = None
    confidence: tuple[ConfidenceFit, ...] = ()
    layers: tuple[LayerSeparation, ...] = ()
    similarity: LayerSimilarity | None = None
    costs: tuple[InferenceCost, ...] = ()
    dynamics: tuple[NetworkDynamics, ...] = ()
    depths: DepthCourse | None = None
