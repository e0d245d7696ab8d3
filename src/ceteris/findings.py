"""The vocabulary of a whole study: what was found, ready to be drawn and reported without training anything.

All types are frozen and hold plain values and numpy arrays, so that a study's findings lie in one file and the report
can be written again from it at any time. They carry numbers, names and reasons; sentences are made in the report.
Accuracies and F1 lie in 0..1, times are in seconds, memory in bytes.
"""

from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from ceteris.insights import Insights
from ceteris.recipe import Name, Recipe, Share
from ceteris.records import (
    ByteArray,
    Cost,
    Criterion,
    EpochHistory,
    Float32Array,
    FloatArray,
    IntArray,
    IterationHistory,
    Trial,
    check_indices,
    check_shapes,
)

SCHEMA = 5  # of the file of a study's findings; it grows whenever a field of a type below changes

Verdict = Literal["better", "worse", "equivalent", "undecided"]
ComparisonTest = Literal["two-part", "corrected-t", "two-way"]
Version = Literal["baseline", "best", "plain"]
Form = Literal[
    "", "quick", "full"
]  # of a study: as it is, small enough for a quick look, or as large as its brief asks


@dataclass(frozen=True, kw_only=True)
class OwnWords:
    """What the authors write themselves, apart from all that was measured; '' is an empty place.

    ``hypothesis`` is what they expect, ``why`` their reason for it, ``conclusion`` what they make of the result.
    ``reflection``, ``contributions`` (who did what) and ``statement`` (of help, of generative AI) belong to a whole study.
    """

    question: str = ""
    hypothesis: str = ""
    why: str = ""
    conclusion: str = ""
    reflection: str = ""
    contributions: str = ""
    statement: str = ""

    @property
    def empty(self) -> tuple[str, ...]:
        """The names of the places that are empty."""
        return tuple(field.name for field in fields(self) if not getattr(self, field.name).strip())


def mean_of_finished(values: FloatArray) -> float:
    """Return the mean over the blocks that finished, nan when none did."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


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
    understood: str = ""  # what was read as what, in one line

    def __post_init__(self) -> None:
        check_shapes(
            self, train_class_counts="classes", test_class_counts="classes",
            sample_images="samples channels height width", sample_labels="samples",
        )  # fmt: skip
        if not len(self.classes) == len(self.train_class_counts) > 0:
            raise ValueError("classes: as many names are needed as there are counts, and one at least")
        check_indices("sample_labels", self.sample_labels, len(self.classes))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One level against the incumbent over the same blocks; differences are level minus incumbent, higher is better.

    The *claim*: ``verdict`` by ``test``, with ``standard_error``, ``degrees`` of freedom and the 95 % interval ``low`` to
    ``high``; ``adjusted_p`` counts all ``levels`` that were compared with the same incumbent (Holm). Equivalence was judged
    by the interval ``narrow_low`` to ``narrow_high`` at ``confidence``, which had to lie inside ±``margin``. The ``blocks``
    come in whole cross-validations of ``folds``; they held out ``images``, on ``discordant`` of which the two differ (both 0
    where the images are not known). ``identical`` trainings gave the same predictions on every block. ``detectable`` is the
    true difference that this design finds with power 0.8, and ``detectable_with_more`` that with two more repetitions; 0
    where identical trainings give no measure. ``criterion`` says what all of them are differences of.

    The *choice*: ``expected_gain`` is the posterior mean of the difference, ``chance`` how probably the level is better; both
    follow from ``choice_error``, the standard error of a choice, and ``error``, the incumbent's error rate or loss.
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
    levels: int
    folds: int
    margin: float
    narrow_low: float
    narrow_high: float
    confidence: float
    standard_error: float = float("nan")
    degrees: float = float("nan")
    test: ComparisonTest = "corrected-t"
    expected_gain: float = 0.0
    chance: float = 0.5
    images: int = 0
    discordant: int = 0
    identical: bool = False
    detectable: float = float("nan")
    detectable_with_more: float = float("nan")
    choice_error: float = 0.0
    error: float = 0.0
    criterion: Criterion = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A training that did not finish."""

    kind: Literal["training"] = "training"
    status: Literal["diverged", "failed"]
    error: str


@dataclass(frozen=True, kw_only=True)
class CellFailures:
    """Cells of a grid that did not finish, ``failed`` of ``cells``; ``first`` is the number of the first such candidate."""

    kind: Literal["cells"] = "cells"
    failed: int
    cells: int
    first: int
    failure: Failure


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


@dataclass(frozen=True, kw_only=True)
class LevelFinding:
    """One level of a factor: its result on every block, (blocks,) arrays, and how it compares with the incumbent.

    ``comparison`` is None for the incumbent itself and when no common block finished. ``failures`` has one entry for each
    trial that diverged or failed. ``label_parts`` are (text, dotted field or '') whose texts make up a label that was made
    from the values of the level; () where the study gave the label itself. ``trials`` are the digests of the trainings by
    block, '' where there was none, and ``curves`` (blocks, epochs) their validation accuracy after every epoch, NaN from the
    epoch on that was not trained; () and None where a level's number is not that of one training.
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
    failures: tuple[Failure | CellFailures, ...]
    comparison: Comparison | None
    effort: Effort
    tuning: tuple[TuningFinding, ...] = ()
    label_parts: tuple[tuple[str, str], ...] = ()
    trials: tuple[str, ...] = ()
    curves: Float32Array | None = None
    recipe: Recipe | None = None  # that was compared; None where the level is an average over several

    @property
    def mean(self) -> float:
        """The mean accuracy over the blocks that finished, nan when none did."""
        return mean_of_finished(self.accuracies)

    @property
    def blocks_trained(self) -> int:
        """On how many blocks of the comparison the level was trained, those that failed included."""
        return int(np.isfinite(self.accuracies).sum()) + len(self.failures)

    @property
    def tuned_label(self) -> str:
        """The label with the values that tuning found in place of those that it began with: "sgd (lr 0.15, tuned)"."""
        found = {
            tuned.field: f"{tuned.field.rpartition('.')[2]} {tuned.chosen:g}, tuned"
            for tuned in self.tuning
            if tuned.chosen != tuned.start
        }
        text = "".join(found.pop(field, part) for part, field in self.label_parts) or self.label
        return text + "".join(f" ({value})" for value in found.values())

    @property
    def retuned(self) -> bool:
        """Whether tuning changed a value of this level."""
        return any(tuned.chosen != tuned.start for tuned in self.tuning)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A level is taken in place of the incumbent: the best bet, which needs no proof.

    ``gain`` is what it is expected to bring, ``chance`` how probably it helps, ``cost`` what its operations are counted as in
    the unit of the gain, below 0 where it saves some.
    """

    kind: Literal["taken"] = "taken"
    gain: float
    chance: float
    cost: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The incumbent stays; ``leader`` is the level that comes nearest to being taken, '' where there is none to compare.

    ``gain``, ``chance`` and ``cost`` are the leader's, as those of :class:`Taken`.
    """

    kind: Literal["kept"] = "kept"
    leader: str = ""
    gain: float = 0.0
    chance: float = 0.5
    cost: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SameTraining:
    """The incumbent stays, as every other level gave the same training: nothing differed on any block."""

    kind: Literal["same-training"] = "same-training"


@dataclass(frozen=True, kw_only=True)
class IncumbentBroken:
    """The incumbent did not finish on ``broken`` of ``blocks``: the best level that did is kept, else it stays."""

    kind: Literal["incumbent-broken"] = "incumbent-broken"
    broken: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class InBestRecipe:
    """The level is in the best of all ``cells`` of a grid that finished; levels are compared averaged over the others."""

    kind: Literal["in-best-recipe"] = "in-best-recipe"
    cells: int


@dataclass(frozen=True, kw_only=True)
class PutBack:
    """The best recipe lost one choice; nothing is chosen, the loss is what the choice is worth."""

    kind: Literal["put-back"] = "put-back"


Reason = Taken | Kept | SameTraining | IncumbentBroken | InBestRecipe | PutBack


@dataclass(frozen=True, kw_only=True)
class Incompatible:
    """A level that does not fit the best setting so far, and why not, in one clause."""

    label: str
    reason: str


LeavingReason = Literal["better", "worse", "futile", "overtaken", "broken", "behind"]


@dataclass(frozen=True, kw_only=True)
class Elimination:
    """A level that left its comparison after ``blocks`` of ``design`` blocks, and why; "behind" the better half of a factor."""

    label: str
    blocks: int
    design: int
    reason: LeavingReason


@dataclass(frozen=True, kw_only=True)
class FactorFinding:
    """One factor explored for one model: every level, and why the level that is marked as chosen was kept.

    ``incompatible`` levels were left out; ``eliminations`` are those of a race, in their order.
    ``words`` are the authors' own, as on the model and on the study.
    """

    name: Name
    title: str
    question: str
    fields: tuple[str, ...]
    levels: tuple[LevelFinding, ...]
    reason: Reason
    eliminations: tuple[Elimination, ...] = ()
    incompatible: tuple[Incompatible, ...] = ()
    words: OwnWords = OwnWords()

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name

    @property
    def unequal_blocks(self) -> bool:
        """Whether some levels were trained on fewer blocks than others."""
        return len({level.blocks_trained for level in self.levels}) > 1

    @property
    def incumbent(self) -> LevelFinding | None:
        """The level that the others were compared with."""
        return next((level for level in self.levels if level.incumbent), None)

    @property
    def kept(self) -> LevelFinding | None:
        """The level that was chosen, else the incumbent."""
        return next((level for level in self.levels if level.chosen), self.incumbent)

    @property
    def winner(self) -> LevelFinding | None:
        """The level that replaced the incumbent, None where the incumbent stayed."""
        return next((level for level in self.levels if level.chosen and not level.incumbent), None)


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """How much the effect of one factor depends on another (a difference of differences), averaged over the grid's rest.

    ``first`` and ``second`` are (factor, level) against the level of the baseline recipe.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A candidate was left after ``blocks`` of ``design`` blocks, ``behind`` the best one on the same blocks."""

    kind: Literal["pruned"] = "pruned"
    blocks: int
    design: int
    behind: float


@dataclass(frozen=True, kw_only=True)
class Eliminated:
    """A candidate went no further than a rung: it took ``place`` of ``candidates``, of which ``promoted`` went on."""

    kind: Literal["eliminated"] = "eliminated"
    rung: int
    place: int
    candidates: int
    promoted: int


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A candidate's training did not finish; ``rung`` 0 where that was on the blocks of the design."""

    kind: Literal["broken"] = "broken"
    failure: Failure
    rung: int = 0


def candidate_label(number: int, settings: tuple[tuple[str, str], ...], idle: tuple[tuple[str, str], ...]) -> str:
    """Return the name of a candidate, such as "#7 (adam, 0.01)"; settings without effect are left out."""
    if not number:
        return "the baseline"
    without = dict(idle)
    values = ", ".join(value for name, value in settings if name not in without)
    return f"#{number} ({values})" if values else f"#{number}"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One recipe of a grid or of a search that tries whole recipes: what it sets and what it reached.

    ``settings`` is (factor or field, value as text) in the order of the study; ``idle`` names those without effect, each
    with the field that the recipe does not have. ``accuracies`` has one entry per block of the design, (blocks,), NaN where
    the candidate was not trained. ``status`` says how far it came: it "finished" all blocks, was "pruned" against the best,
    was "eliminated" in a rung, or "failed". ``left`` says where it would have gone no further; a baseline that was
    trained in full all the same is "finished". ``comparison`` is with the baseline, candidate number 0. ``rungs`` has
    one entry per rung that the candidate was trained in, where there are rungs: (epochs, held-out accuracy there).
    """

    number: int
    settings: tuple[tuple[str, str], ...]
    epochs: int
    accuracies: FloatArray
    status: Literal["finished", "pruned", "eliminated", "failed"]
    chosen: bool
    left: Pruned | Eliminated | Broken | None = None
    comparison: Comparison | None = None
    idle: tuple[tuple[str, str], ...] = ()
    rungs: tuple[tuple[int, float], ...] = ()

    @property
    def mean(self) -> float:
        """The mean accuracy over the blocks that finished, nan when none did."""
        return mean_of_finished(self.accuracies)

    @property
    def label(self) -> str:
        """The name in sentences, such as "#7 (adam, 0.01)"."""
        return candidate_label(self.number, self.settings, self.idle)


@dataclass(frozen=True, kw_only=True)
class FactorPath:
    """A search factor by factor, around the best setting so far or around the baseline alone.

    ``changed`` counts the factors that changed the recipe. ``put_back`` counts the choices of the best recipe that were then
    put back one at a time, None where the strategy does not. ``raced`` is the number of trainings of the full design where
    the levels raced through it, else None.
    """

    kind: Literal["factor-path"] = "factor-path"
    factors: int
    around: Literal["best", "baseline"]
    changed: int
    put_back: int | None = None
    raced: int | None = None


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """``count`` combinations of values were not trained, for one reason, in a clause.

    Where it is '' they are the recipe of another one, because of the settings in ``idle`` (see ``Candidate``).
    """

    count: int
    reason: str
    idle: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class GridSearch:
    """A grid of ``size`` cells, of which ``possible`` can be made; the others are ``left_out``.

    ``untuned`` is a number that other strategies would tune inside a cell, '' where there is none. ``confirmed`` says
    whether a recipe that is kept is trained again on fresh seeds; it is the same in the other searches.
    """

    kind: Literal["grid"] = "grid"
    size: int
    possible: int
    left_out: tuple[PassedOver, ...]
    untuned: str
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class SampledSearch:
    """``asked`` recipes were wanted of a sampler; those clearly behind were left after ``first_blocks``."""

    kind: Literal["sampled"] = "sampled"
    sampler: str
    asked: int
    first_blocks: int
    passed_over: tuple[PassedOver, ...]
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Rung:
    """``candidates`` recipes are trained for at most ``epochs`` epochs; the last rung trains in full on all blocks."""

    epochs: int
    candidates: int


@dataclass(frozen=True, kw_only=True)
class RungSearch:
    """Many recipes with few epochs, of which the best ones of every rung went on; ``method`` is the name of the search."""

    kind: Literal["rungs"] = "rungs"
    method: str
    rungs: tuple[Rung, ...]
    confirmed: bool


SearchSummary = FactorPath | GridSearch | SampledSearch | RungSearch


@dataclass(frozen=True, kw_only=True)
class ConfirmedRecipe:
    """A recipe that met the baseline again: all that was "chosen", or only the "sure" choices, those likely to help by 90 %.

    ``results`` has the criterion of every training, (trainings,), NaN where one did not finish. ``comparison`` is with the
    baseline, adjusted for the recipes of the model, None where too few trainings finished. ``gain`` and
    ``chance`` are what is expected after exploration and confirmation together.
    """

    name: Literal["chosen", "sure"]
    recipe: Recipe
    results: FloatArray
    comparison: Comparison | None
    gain: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What was chosen and the baseline compared again, as they would be delivered: this is the improvement.

    It is told of the recipe that is delivered, or of the chosen one where the baseline is; ``comparison``, adjusted for all
    models of the study, is None where too few trainings finished. Each training fitted ``fitted`` images for at most
    ``epochs`` epochs. ``fresh`` says that the ``images`` held out had no part in any choice; else they are the same ones in
    new splits.
    """

    baseline: FloatArray  # the criterion of every training, (trainings,)
    best: FloatArray  # (trainings,)
    comparison: Comparison | None
    gain: float = 0.0
    chance: float = 0.5
    delivered: Literal["baseline", "chosen", "sure"] = "chosen"
    recipes: tuple[ConfirmedRecipe, ...] = ()
    fresh: bool = False
    images: int = 0
    fitted: int = 0
    epochs: int = 0


LuckSource = Literal["images", "split", "initialisation", "order", "tuning", "all"]


@dataclass(frozen=True, kw_only=True)
class SourceOfLuck:
    """How far one source of luck alone moves a recipe's accuracy: the standard deviation with its 95 % interval, in 0..1.

    ``accuracies`` (runs,) are those of the trainings; () for "images", which held-out images there happen to be. "split" is
    which images are fitted on and which are held out, "order" that of the images with augmentation and dropout, "all" all
    of these but the tuning together.
    """

    source: LuckSource
    accuracies: FloatArray
    deviation: float
    low: float
    high: float


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
class LevelTest:
    """One level trained once on the whole training set, and asked on the test set when every choice was made.

    No choice has seen it. Accuracy, macro F1 and loss (nats) are those on the test images, NaN where the training did not
    finish; ``epochs`` were run.
    """

    factor: Name
    label: str
    digest: str
    status: Literal["finished", "diverged", "failed"]
    error: str = ""
    accuracy: float = float("nan")
    f1: float = float("nan")
    loss: float = float("nan")
    epochs: int = 0
    train_seconds: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class ModelFinding:
    """The path of one model from its baseline to its best recipe.

    ``strategy`` names how the best recipe was searched and ``search`` counts what the search did. ``ablation`` has
    one entry per choice of the final stack that was put back to the baseline's value; ``interactions``
    belong to a factorial grid, ``candidates`` to a grid or to a search that tries whole recipes. ``trainings_saved`` counts
    the trainings of the full design that a race did not need. ``confirmation`` is None when the baseline stayed the best.
    ``luck`` is () unless the study asks where the noise comes from. ``cross_validated`` is a model of which nothing was varied
    on the blocks of the design, None where the study does not ask for that. ``level_tests`` are those of every option,
    where the study asks for them. ``constants`` are (name, value) of what torch sets in the best network and no recipe names.
    """

    name: Name
    title: str
    baseline: Recipe
    best: Recipe
    baseline_summary: ModelSummary
    best_summary: ModelSummary
    factors: tuple[FactorFinding, ...]
    strategy: str
    search: SearchSummary
    ablation: tuple[FactorFinding, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings_saved: int = 0
    confirmation: Confirmation | None = None
    luck: tuple[SourceOfLuck, ...] = ()
    words: OwnWords = OwnWords()
    cross_validated: LevelFinding | None = None
    level_tests: tuple[LevelTest, ...] = ()
    constants: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name

    @property
    def as_given(self) -> bool:
        """Whether nothing of the model was varied, so that it was trained as the study gives it and has one version."""
        return not self.factors and not self.candidates


@dataclass(frozen=True, kw_only=True)
class FinalFinding:
    """One final training (model × version × seed) on the whole training set, and what it answered on the test set.

    Version "plain" is the best ResNet without its residual connections. ``test_curve_loss`` and ``test_curve_accuracy``
    have one entry per epoch, (epochs,), recorded after all choices were made; they are empty where they were not asked.
    The ``clean`` accuracy and loss are those on training images, see :class:`ceteris.records.Finished`.
    """

    model: Name
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
    validation_loss: float | None = None
    clean_train_accuracy: float | None = None
    clean_train_loss: float | None = None
    trial: Trial | None = None  # what was asked of the training, its recipe with the epochs that it was allowed
    fitted: int = 0  # images

    def __post_init__(self) -> None:
        check_shapes(self, probabilities="images classes", test_curve_loss="epochs", test_curve_accuracy="epochs")


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """What one convolutional layer (or, for an MLP, its first weights) responds to.

    ``filters`` are the weights as pictures (filters, channels, height, width), in colour where the layer sees three channels,
    else with one. ``maps`` are the responses to ``image`` (filters, h, w): of a linear unit one number, (units, 1, 1).
    """

    layer: str
    image: ByteArray  # (channels, height, width)
    filters: Float32Array
    maps: Float32Array

    def __post_init__(self) -> None:
        check_shapes(self, image="channels height width", filters="filters colours rows columns", maps="filters h w")


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A part of an explanation that could not be made, and the error that says why."""

    part: Literal["heat maps", "features", "embedding"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Pictures of what one final model does, as arrays. ``heat`` is Grad-CAM scaled to 0..1; empty for an MLP without it."""

    model: Name
    layer: str
    images: ByteArray  # (n, channels, height, width)
    labels: IntArray  # (n,)
    predictions: IntArray  # (n,)
    heat: Float32Array  # (n, height, width)
    features: tuple[FeatureMaps, ...]
    embedding_layer: str
    embedding: Float32Array  # (m, 2)
    embedding_labels: IntArray  # (m,)
    embedding_predictions: IntArray  # (m,)
    embedding_method: Literal["t-sne", "pca"] = "t-sne"
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        check_shapes(
            self, images="n channels height width", labels="n", predictions="n", heat="maps rows columns",
            embedding="m two", embedding_labels="m", embedding_predictions="m",
        )  # fmt: skip


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

    def __post_init__(self) -> None:
        check_shapes(self, gradient_norms_with="layers", gradient_norms_without="layers")


@dataclass(frozen=True, kw_only=True)
class TestImages:
    """Test images shown in the report: the first six, ten random ones, the misclassified; with their places in the test set."""

    __test__ = False  # not a pytest class

    indices: IntArray  # (n,)
    images: ByteArray  # (n, channels, height, width)

    def __post_init__(self) -> None:
        check_shapes(self, indices="n", images="n channels height width")


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the test set, as the ledger has it."""

    date: str
    study: str
    reason: str
    models: tuple[str, ...]


@checked(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class StatedResult:
    """An accuracy that others stated for a model, or for one level of one of its factors, whether or not it is tried here."""

    model: str
    factor: str = ""
    level: str = ""
    accuracy: Share


@checked(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Reference:
    """Results from elsewhere that a report shows beside its own; nothing is decided by them. ``source`` says whose they are."""

    source: str
    results: tuple[StatedResult, ...]


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What a study was: its names, its design, its data, and what it took."""

    name: Name
    title: str
    question: str
    author: str
    group: str
    date: str
    folds: int
    seeds: int
    significance: float
    equivalence_margin: float
    criterion: Criterion = "accuracy"
    exploration_images: int
    words: OwnWords = OwnWords()
    final_epochs: int = 0  # at most so many in a final training; 0 where each recipe keeps its own number
    data: DataDescription
    residual: ResidualFinding | None
    looks: tuple[Look, ...]
    trials_total: int
    trials_failed: int
    training_seconds: float
    wall_seconds: float
    workers: int
    packages: dict[str, str]
    machine: dict[str, str]
    study_text: str
    insights: Insights = field(default_factory=Insights)
    code: dict[str, str] = field(default_factory=dict)  # file -> text: what the trainings used of the user's own
    form: Form = ""
    references: tuple[Reference, ...] = ()

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name

    @property
    def people(self) -> str:
        """Group and author in one line."""
        return " · ".join(part for part in (self.group, self.author) if part)


@dataclass(frozen=True, kw_only=True)
class StudyFindings(StudyFacts):
    """Everything a study found. ``test_labels`` and every final's ``probabilities`` are in the order of the test set."""

    schema: int = SCHEMA
    models: tuple[ModelFinding, ...]
    finals: tuple[FinalFinding, ...]
    explanations: tuple[Explanation, ...]
    test_labels: IntArray
    test_images: TestImages

    def __post_init__(self) -> None:
        names, images = [model.name for model in self.models], len(self.test_labels)
        classes = len(self.data.classes)
        check_shapes(self, test_labels="images")
        check_indices("test_labels", self.test_labels, classes)
        check_indices("test_images.indices", self.test_images.indices, images)
        for final in self.finals:
            if final.model not in names or final.probabilities.shape not in ((0, classes), (images, classes)):
                raise ValueError(
                    f"finals: {final.model}, seed {final.seed}, is no model of the study with these test images"
                )
        for explanation in self.explanations:
            for name in ("labels", "predictions", "embedding_labels", "embedding_predictions"):
                check_indices(f"explanations.{name}", getattr(explanation, name), classes)
            if explanation.model not in names:
                raise ValueError(f"explanations: {explanation.model} is no model of the study")
