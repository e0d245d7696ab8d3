"""The vocabulary of a whole study: what was found, ready to be drawn and reported without training anything.

All types are frozen and hold plain values and numpy arrays, so that a study's findings lie in one file and the report
can be written again from it at any time. Accuracies and F1 lie in 0..1, times are in seconds, memory in bytes.
"""

from dataclasses import dataclass
from typing import Literal

from ceteris.recipe import Recipe
from ceteris.records import ByteArray, Cost, EpochHistory, Float32Array, FloatArray, IntArray, IterationHistory

Verdict = Literal["better", "worse", "equivalent", "undecided"]
Version = Literal["baseline", "best", "plain"]


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What is in a data set (the questions that anybody asks before training on it)."""

    name: str
    title: str
    source: str
    note: str
    problem: str
    label_meaning: str
    train_count: int
    test_count: int
    image_shape: tuple[int, int, int]
    minimum: int
    maximum: int
    channel_mean: tuple[float, ...]
    channel_deviation: tuple[float, ...]
    missing: int
    classes: tuple[str, ...]
    train_class_counts: IntArray
    test_class_counts: IntArray
    preprocessing: tuple[str, ...]
    shares: str
    sample_images: ByteArray  # (samples, channels, height, width), grouped by class
    sample_labels: IntArray  # (samples,)
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One level against the incumbent over the same blocks; differences are level minus incumbent.

    ``low`` and ``high`` bound the corrected 95 % interval; ``adjusted_p`` counts all levels of the factor (Holm).
    """

    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    probability_worse: float
    probability_equivalent: float
    probability_better: float
    effect_size: float
    blocks: int
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, kw_only=True)
class LevelFinding:
    """One level of a factor: its result on every block, (blocks,) arrays, and how it compares with the incumbent.

    ``comparison`` is None for the incumbent itself and when no common block finished. ``failures`` tells, one line
    each, which trials diverged or failed.
    """

    label: str
    changes: tuple[str, ...]
    accuracies: FloatArray
    f1: FloatArray
    losses: FloatArray
    train_accuracies: FloatArray
    train_seconds: FloatArray
    parameters: int
    forward_flops_per_image: int
    peak_memory_bytes: int
    incumbent: bool
    chosen: bool
    failures: tuple[str, ...]
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class FactorFinding:
    """One factor explored for one model: every level and the decision, with its reason in one sentence."""

    name: str
    title: str
    question: str
    fields: tuple[str, ...]
    levels: tuple[LevelFinding, ...]
    decision: str


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer of a model's summary; ``output_shape`` is (channels, height, width) or (features,), without the batch."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """Layers, output shapes, parameters and forward FLOPs per image of one model."""

    layers: tuple[LayerRow, ...]
    parameters: int
    flops: int


@dataclass(frozen=True, kw_only=True)
class ModelFinding:
    """The path of one model from its baseline to its best recipe."""

    name: str
    title: str
    baseline: Recipe
    best: Recipe
    baseline_summary: ModelSummary
    best_summary: ModelSummary
    factors: tuple[FactorFinding, ...]


@dataclass(frozen=True, kw_only=True)
class FinalFinding:
    """One final training (model × version × seed) on the whole training set, and what it answered on the test set.

    Version "plain" is the best ResNet without its residual connections. ``test_curve_loss`` and ``test_curve_accuracy``
    have one entry per epoch, (epochs,), recorded after all choices were made; they are empty where they were not asked.
    """

    model: str
    version: Version
    seed: int
    digest: str
    status: Literal["finished", "diverged", "failed"]
    error: str
    best_epoch: int
    epochs: EpochHistory | None
    iterations: IterationHistory | None
    cost: Cost | None
    validation_accuracy: float
    validation_f1: float
    probabilities: Float32Array  # (test images, classes)
    test_curve_loss: FloatArray
    test_curve_accuracy: FloatArray


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """What one convolutional layer (or, for an MLP, its first weights) responds to.

    ``filters`` are the weights as pictures (filters, height, width), ``maps`` the responses to ``image`` (filters, h, w).
    """

    layer: str
    image: ByteArray  # (channels, height, width)
    filters: Float32Array
    maps: Float32Array


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Pictures of what one final model does, as arrays. ``heat`` is Grad-CAM scaled to 0..1; empty for an MLP without it."""

    model: str
    layer: str
    images: ByteArray  # (n, channels, height, width)
    labels: IntArray  # (n,)
    predictions: IntArray  # (n,)
    heat: Float32Array  # (n, height, width)
    features: tuple[FeatureMaps, ...]
    embedding_layer: str
    embedding: Float32Array  # (m, 2) t-SNE
    embedding_labels: IntArray  # (m,)


@dataclass(frozen=True, kw_only=True)
class ResidualFinding:
    """The same network with and without its residual connections.

    Gradient norms are those of each convolution's weights at the first step of training, first layer first, (layers,).
    """

    layers: tuple[str, ...]
    gradient_norms_with: FloatArray
    gradient_norms_without: FloatArray
    parameters_with: int
    parameters_without: int


@dataclass(frozen=True, kw_only=True)
class TestImages:
    """Test images shown in the report: the first six, ten random ones, the misclassified; with their places in the test set."""

    __test__ = False  # not a pytest class

    indices: IntArray  # (n,)
    images: ByteArray  # (n, channels, height, width)


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the test set, as the ledger has it."""

    date: str
    study: str
    reason: str
    models: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """Everything a study found. ``test_labels`` and every final's ``probabilities`` are in the order of the test set."""

    name: str
    title: str
    question: str
    author: str
    group: str
    date: str
    folds: int
    seeds: int
    significance: float
    equivalence_margin: float
    exploration_images: int
    data: DataDescription
    models: tuple[ModelFinding, ...]
    finals: tuple[FinalFinding, ...]
    explanations: tuple[Explanation, ...]
    residual: ResidualFinding | None
    test_labels: IntArray
    test_images: TestImages
    looks: tuple[Look, ...]
    trials_total: int
    trials_failed: int
    training_seconds: float
    wall_seconds: float
    workers: int
    packages: dict[str, str]
    machine: dict[str, str]
    study_text: str
