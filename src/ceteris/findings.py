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
    ``blocks_to_decide`` is the number of blocks that would decide a difference of the observed size with power 0.8: 0 where
    it is decided, -1 where no number of repetitions would.
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
    blocks_to_decide: int = 0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What was spent on one arm; its nuisance parameters' tuning counted in. Steps are mini-batches."""

    trials: int
    epochs: int
    steps: int
    training_flops: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TuningFinding:
    """How one arm's nuisance parameter was tuned before the arm was compared.

    ``values`` (tried,) in the order of trying, ``accuracies`` (tried,) their mean held-out accuracy, NaN where a training
    did not finish. ``start`` is the value that the arm had before. ``at_edge`` says that the best value was the smallest or
    the largest tried even after widening.
    """

    field: str
    values: tuple[float, ...]
    accuracies: FloatArray
    start: float
    chosen: float
    widened: int
    at_edge: bool
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
    effort: Effort
    tuning: tuple[TuningFinding, ...] = ()

    @property
    def told(self) -> str:
        """The label with the values that tuning found in place of those that it began with: "sgd (lr 0.15, tuned)"."""
        text = self.label
        for found in self.tuning:
            name = found.field.rpartition(".")[2]
            if found.chosen == found.start:
                continue
            before, after = f"{name} {found.start:g}", f"{name} {found.chosen:g}, tuned"
            text = text.replace(before, after, 1) if before in text else f"{text} ({after})"
        return text

    @property
    def retuned(self) -> bool:
        """Whether tuning changed a value of this level."""
        return any(found.chosen != found.start for found in self.tuning)


@dataclass(frozen=True, kw_only=True)
class FactorFinding:
    """One factor explored for one model: every level and the decision, with its reason in one sentence.

    ``prospect`` says how many more blocks would decide what is undecided, and what they cost; '' where all is decided.
    """

    name: str
    title: str
    question: str
    fields: tuple[str, ...]
    levels: tuple[LevelFinding, ...]
    decision: str
    prospect: str = ""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """How much the effect of one factor depends on another (a difference of differences), averaged over the grid's rest.

    ``first`` and ``second`` are (factor, level) against the level of the baseline recipe.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One recipe of a grid, of a joint search or of successive halving: what it sets and what it reached.

    ``settings`` is (factor or field, value as text) in the order of the study. ``accuracies`` has one entry per block of
    the design, (blocks,), NaN where the candidate was not trained. ``fate`` says why it went no further: "finished" all
    blocks, was "pruned" against the best, was "eliminated" in a rung, or "failed". ``rungs`` (successive halving) has one
    entry per rung that the candidate was trained in: (epochs, held-out accuracy there).
    """

    number: int
    settings: tuple[tuple[str, str], ...]
    epochs: int
    accuracies: FloatArray
    fate: Literal["finished", "pruned", "eliminated", "failed"]
    chosen: bool
    sentence: str = ""
    rungs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Baseline and best recipe compared again on fresh seeds, which no choice has seen: this is the improvement."""

    baseline: FloatArray  # accuracy per block, (blocks,)
    best: FloatArray  # (blocks,)
    comparison: Comparison | None
    sentence: str


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
    """The path of one model from its baseline to its best recipe.

    ``strategy`` names how the best recipe was searched and ``summary`` says in a sentence what the search did.
    ``worth`` (leave-one-out) has one entry per choice of the final stack, each put back to the baseline's value;
    ``interactions`` belong to a factorial grid, ``candidates`` to a grid, a joint search or successive
    halving. ``trainings_saved`` counts the trainings of the full design that a race did not need. ``confirmation`` is None
    when the baseline stayed the best.
    """

    name: str
    title: str
    baseline: Recipe
    best: Recipe
    baseline_summary: ModelSummary
    best_summary: ModelSummary
    factors: tuple[FactorFinding, ...]
    strategy: str = "greedy"
    summary: str = ""
    worth: tuple[FactorFinding, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings_saved: int = 0
    confirmation: Confirmation | None = None


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
